package drain

import (
	"context"
	"time"
)

// stuck bounds the wait for servers and hooks after everything was closed by
// force. A listener whose Accept outlives its Close can hold up a server.
const stuck = 250 * time.Millisecond

// Drain lets the connections finish, closes the rest at the deadline, and
// reports. It returns when nothing is left, so at once if nothing was open.
//
// The end of ctx brings the deadline forward to now. Calling Drain again, also
// at the same time, waits for and returns the same report; the first of their
// contexts to end counts. Handlers whose connections were closed by force may
// still be running afterwards.
func (c *Conns) Drain(ctx context.Context) *Report {
	c.mu.Lock()
	if c.started.IsZero() {
		c.started = time.Now()
		c.deadline = c.started.Add(c.timeout)
		go c.run(context.WithoutCancel(ctx))
	}
	c.mu.Unlock()

	select {
	case <-c.done:
	case <-ctx.Done():
		c.mu.Lock()
		if !c.hurried {
			c.hurried = true
			close(c.hurry)
		}
		c.mu.Unlock()
		<-c.done
	}
	return c.report
}

// run is the whole life of a drain.
func (c *Conns) run(ctx context.Context) {
	ctx, cancel := context.WithDeadline(ctx, c.deadline)
	defer cancel()
	r := &Report{Started: c.started}

	c.mu.Lock()
	r.Open = c.open
	accepted, closed := c.accepted, c.closed
	c.begin(ErrDraining)
	c.hookCtx = ctx
	for _, f := range c.hooks {
		c.runHook(f)
	}
	for _, s := range c.servers {
		if s.goaway != nil {
			go s.goaway()
		}
	}
	c.mu.Unlock()
	c.log.InfoContext(ctx, "draining", "connections", r.Open, "deadline", c.deadline)

	if !c.wait(ctx) {
		r.TimedOut = true
		cancel()
		r.Left = c.force()
	}

	c.mu.Lock()
	c.ended = time.Now()
	r.Seconds = c.ended.Sub(c.started).Seconds()
	r.Accepted = c.accepted - accepted
	r.Closed = outcomes(c.closed, closed)
	c.report = r
	c.mu.Unlock()
	c.log.InfoContext(ctx, "drained", "seconds", r.Seconds, "finished", r.Closed.Finished,
		"idle", r.Closed.Idle, "hijacked", r.Closed.Hijacked, "forced", r.Closed.Forced)
	close(c.done)
}

// wait reports whether everything ended before the deadline.
func (c *Conns) wait(ctx context.Context) bool {
	s := &sweeper{conns: c}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-c.hurry:
			return false
		case <-timer.C:
		case <-c.wake:
		}
		if ctx.Err() != nil {
			return false // what ended just now ended because of that
		}
		now := time.Now()
		c.mu.Lock()
		s.look(now)
		if !s.waiting {
			c.shutdown(ctx)
		}
		over := c.open == 0 && c.running == 0 && !s.waiting && c.down()
		c.mu.Unlock()
		if over {
			return true
		}
		s.act(now)
		timer.Reset(max(sweepEvery, 10*time.Since(now)))
	}
}

// shutdown has net/http end what is left: HTTP/2 as its streams end, and
// connections that are not ours. c.mu is held.
func (c *Conns) shutdown(ctx context.Context) {
	for _, s := range c.servers {
		if s.down != nil {
			continue
		}
		s.down = make(chan struct{})
		go func() {
			defer c.poke()
			defer close(s.down)
			s.Shutdown(ctx)
		}()
	}
}

// down reports whether every server has shut down. c.mu is held.
func (c *Conns) down() bool {
	for _, s := range c.servers {
		select {
		case <-s.down: // never ready while nil
		default:
			return false
		}
	}
	return true
}

// force closes everything and returns who was left.
func (c *Conns) force() (left []ConnInfo) {
	now := time.Now()
	c.mu.Lock()
	servers := c.servers
	var rest []*conn
	for tc := c.list.next; tc != &c.list; tc = tc.next {
		tc.fate = forced
		rest = append(rest, tc)
		if len(left) < maxLeft {
			left = append(left, c.info(tc, now))
		}
	}
	c.mu.Unlock()

	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for _, tc := range rest {
			tc.Close()
		}
		for _, s := range servers {
			s.Close()
		}
	}()
	select {
	case <-closed:
	case <-time.After(stuck):
	}
	return left
}
