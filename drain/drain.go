package drain

import (
	"context"
	"time"
)

// DrainOptions are for [Conns.DrainWith].
type DrainOptions struct {
	// Reason is what handlers, hooks, snapshots and the report are told, for
	// instance "upgrade".
	Reason string
}

// Drain is DrainWith without options.
func (c *Conns) Drain(ctx context.Context) *Report {
	return c.DrainWith(ctx, DrainOptions{})
}

// DrainWith lets the connections finish, closes the rest at the deadline, and
// reports. It returns when nothing is left: within some 10 ms if nothing was open.
// The report is never nil, and not to be changed; [Report.Err] tells whether the
// deadline passed.
//
// The deadline is Config.Timeout from now, or that of ctx if it comes first.
// The end of ctx brings it forward to now. Draining again, also at the same
// time, waits for and returns the same report; the first options count, and
// the first of the contexts to end. Handlers whose connections were closed by
// force may still be running afterwards. Closing those may take some seconds
// beyond the deadline, since Close of a connection may block, as that of TLS does.
func (c *Conns) DrainWith(ctx context.Context, opts DrainOptions) *Report {
	c.mu.Lock()
	if c.started.IsZero() {
		c.reason = opts.Reason
		c.started = time.Now()
		c.deadline = c.started.Add(c.timeout)
		if at, ok := ctx.Deadline(); ok && at.Before(c.deadline) {
			c.deadline = at
		}
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
	r := &Report{Reason: c.reason, Started: c.started, Deadline: c.deadline}
	record := c.startRecorder(ctx)

	c.mu.Lock()
	r.Open = c.open
	nothing := c.open == 0 && len(c.hooks) == 0
	accepted, closed := c.totals()
	why := &Draining{Reason: c.reason, Deadline: c.deadline}
	c.leaving = c.leaveWindow(c.open)
	c.lame.Store(true)
	c.begin(why)
	c.hookCtx = ctx
	for _, f := range c.hooks {
		c.runHook(f)
	}
	go c.sayGoaway(c.servers)
	c.mu.Unlock()
	c.log.InfoContext(ctx, "draining", "reason", c.reason, "connections", r.Open, "deadline", c.deadline)

	if c.wait(ctx, why) || nothing && c.nothingLeft(ctx) {
		record.stop()
	} else {
		r.TimedOut = true
		cancel()
		trace := record.write(ctx) // while the rest is closed, not before
		r.Left = c.force()
		select {
		case r.Trace = <-trace:
		case <-time.After(traceTime):
			c.log.ErrorContext(ctx, "drain: the trace is not written in time")
		}
	}

	c.mu.Lock()
	c.ended = time.Now()
	r.Seconds = c.ended.Sub(c.started).Seconds()
	a, z := c.totals()
	r.Accepted, r.Closed = a-accepted, outcomes(z, closed)
	c.report = r
	c.mu.Unlock()
	c.log.InfoContext(ctx, "drained", "seconds", r.Seconds, "finished", r.Closed.Finished,
		"idle", r.Closed.Idle, "cut", r.Closed.Cut, "forced", r.Closed.Forced)
	close(c.done)
}

// wait reports whether everything ended before the deadline.
func (c *Conns) wait(ctx context.Context, why *Draining) bool {
	s := newSweeper(c, why)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		woken := false
		select {
		case <-ctx.Done():
			return false
		case <-c.hurry:
			return false
		case <-timer.C:
		case <-c.wake:
			woken = true
		}
		if ctx.Err() != nil {
			return false // what ended just now ended because of that
		}
		now := time.Now()
		if woken || !now.Before(s.lookAt) {
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
			s.lookAt = now.Add(s.pause(now))
		}
		timer.Reset(time.Until(s.act(now)))
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
			s.cut = s.Shutdown(ctx) != nil
		}()
	}
}

// nothingLeft reports, of a drain that ends early and had nothing to end when
// it began, whether that is still so: there is no connection, and no server
// that Shutdown would have to wait for.
func (c *Conns) nothingLeft(ctx context.Context) bool {
	c.mu.Lock()
	c.shutdown(ctx)
	servers := c.servers
	c.mu.Unlock()
	for _, s := range servers {
		if !within(stuck, s.down) || s.cut {
			return false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open == 0
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
