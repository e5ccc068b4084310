package drain

import "context"

// OnDrain calls f in a goroutine of its own when draining begins, or at once
// if it has begun. Drain waits for it, like for a connection, but no longer than
// to the deadline, when ctx ends. It is the place for another protocol's own goodbye:
//
//	conns.OnDrain(func(ctx context.Context) {
//		defer context.AfterFunc(ctx, grpcServer.Stop)()
//		grpcServer.GracefulStop()
//	})
func (c *Conns) OnDrain(f func(ctx context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hookCtx == nil {
		c.hooks = append(c.hooks, f)
		return
	}
	c.runHook(f)
}

// runHook is called with c.mu held and hookCtx set.
func (c *Conns) runHook(f func(context.Context)) {
	c.running++
	go func() {
		defer func() {
			c.mu.Lock()
			c.running--
			c.mu.Unlock()
			c.poke()
		}()
		f(c.hookCtx)
	}()
}

// poke has a drain look again at what is left.
func (c *Conns) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
