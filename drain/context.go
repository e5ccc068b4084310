package drain

import "context"

type connsKey struct{}

// Context returns a copy of a request's context that also ends, with cause
// ErrDraining, when its server begins to drain: for handlers whose response
// may last longer than draining does, such as event streams. What it governs
// then has until the drain's deadline to say goodbye. Call cancel when done.
// A request's context ends when its handler returns; what outlives the
// handler, such as a hijacked connection, watches [Conns.Context].
//
// A context that did not come from a server given to [Conns.Server] is never
// told of draining.
func Context(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	ctx, cause := context.WithCancelCause(ctx)
	c, ok := ctx.Value(connsKey{}).(*Conns)
	if !ok {
		return ctx, func() { cause(nil) }
	}
	stop := context.AfterFunc(c.begun, func() { cause(ErrDraining) })
	return ctx, func() { stop(); cause(nil) }
}

// OnDrain calls f in a goroutine of its own when draining begins, or at once
// if it has begun. Drain waits for it, like for a connection. ctx ends at the
// deadline. It is the place for another protocol's own goodbye:
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
