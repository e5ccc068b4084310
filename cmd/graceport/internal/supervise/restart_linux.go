package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// first waits for the first copy, which replaces nothing.
func (s *supervisor) first(ctx context.Context) error {
	p := s.main
	ctx, cancel := context.WithTimeoutCause(ctx, s.ReadyTimeout, fmt.Errorf("not ready within %v", s.ReadyTimeout))
	defer cancel()
	groups, err := s.awaitReady(ctx, p, nil, nil, func(groups []*group) error { return canShare(p, groups) })
	if err != nil {
		return fmt.Errorf("the first copy (pid %d): %w", p.Pid, err)
	}
	s.Log.Info("serving", "pid", p.Pid, "sockets", len(inodes(groups)), "strategy", s.strategy)
	return nil
}

// restart replaces a copy. Until the new one leads, an error leaves everything
// with the old one.
func (s *supervisor) restart(ctx context.Context, old *process) error {
	if err := s.replace(ctx, old); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return nil
}

func (s *supervisor) replace(ctx context.Context, old *process) error {
	began := time.Now()
	before, err := s.look(ctx, old, nil)
	if err != nil {
		return err
	}
	if a, ok := s.missing(before); ok {
		return fmt.Errorf("process %d does not listen on %s", old.Pid, a.text)
	}
	if err := canShare(old, before); err != nil {
		return err
	}
	if err := s.keep(old, before); err != nil {
		return err
	}
	next, err := s.start()
	if err != nil {
		return err
	}
	s.Log.Info("new copy started", "pid", next.Pid)
	groups, err := s.prepare(ctx, next, old, before)
	if errors.Is(err, errOldGone) {
		s.Log.Warn("the old copy stopped listening by itself: the new one leads at once", "old", old.Pid, "pid", next.Pid)
		groups, err = nil, nil
	}
	if err == nil {
		err = s.lead(ctx, next)
	}
	if err != nil {
		s.kill(next)
		<-next.exited
		// Its sockets are gone, but an early group's program may still be its.
		return fmt.Errorf("the new copy (pid %d): %w", next.Pid, errors.Join(err, s.keep(old, before)))
	}
	_ = old.Signal(s.stop) // an error: it has ended
	s.Log.Info("new copy leads, old copy told to stop", "pid", next.Pid, "old", old.Pid, "signal", s.stop)
	if err := s.finish(ctx, next, groups); err != nil {
		return fmt.Errorf("the new copy (pid %d) leads, but %w", next.Pid, err)
	}
	s.Log.Info("restarted", "pid", next.Pid, "old", old.Pid, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// keep steers to the sockets that a copy has now, which come first in their
// groups.
func (s *supervisor) keep(p *process, groups []*group) error {
	if s.NoSteer {
		return nil
	}
	for _, g := range groups {
		if err := s.steer(p, g.news[0], reuseport.Range{Count: len(g.news)}); err != nil {
			return err
		}
	}
	return nil
}

// prepare brings a restart to the point where the old copy has nothing left
// that it has not accepted.
func (s *supervisor) prepare(ctx context.Context, next, old *process, before []*group) ([]*group, error) {
	ready, cancel := context.WithTimeoutCause(ctx, s.ReadyTimeout, fmt.Errorf("not ready within %v", s.ReadyTimeout))
	defer cancel()
	groups, err := s.awaitReady(ready, next, old, inodes(before), func(groups []*group) error {
		return s.take(next, slices.DeleteFunc(slices.Clone(groups), func(g *group) bool { return !g.early }))
	})
	if err != nil || s.NoSteer {
		return groups, err
	}
	if err := s.take(next, groups); err != nil {
		return nil, err
	}
	if err := s.empty(ctx, next, groups); err != nil {
		return nil, err
	}
	return groups, s.guard(next, old, groups)
}

// take steers to the new sockets, which follow the old ones.
func (s *supervisor) take(next *process, groups []*group) error {
	if s.NoSteer {
		return nil
	}
	for _, g := range groups {
		switch n, m := len(g.olds), len(g.news); {
		case m == 0:
			s.Log.Warn("the new copy does not listen here: connections that arrive while the old one closes are lost", "address", g.olds[0].Addr)
		case n > 0:
			if err := s.steer(next, g.news[0], reuseport.Range{First: n, Count: m}); err != nil {
				return err
			}
		}
	}
	return nil
}

// empty waits for what the old sockets hold. What does not go in time is lost
// with them, and told.
func (s *supervisor) empty(ctx context.Context, next *process, groups []*group) error {
	bounded, cancel := context.WithTimeout(ctx, s.EmptyTimeout)
	defer cancel()
	for _, g := range groups {
		if len(g.news) == 0 {
			continue
		}
		for _, x := range g.olds {
			left, err := x.Empty(bounded)
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.Is(err, context.DeadlineExceeded):
				s.Log.Warn("the old copy does not accept what waits", "address", x.Addr, "queued", left.Queued, "half_open", left.HalfOpen)
			case err != nil:
				return err
			}
		}
	}
	if next.ended() {
		return fmt.Errorf("it ended with status %d before the old one was told to stop", next.code())
	}
	return nil
}

// guard chooses what stays valid while the old sockets close in any order.
func (s *supervisor) guard(next, old *process, groups []*group) error {
	for _, g := range groups {
		n, m := len(g.olds), len(g.news)
		if n == 0 || m == 0 {
			continue
		}
		if m == 1 {
			continue // take has chosen it
		}
		if err := s.steer(next, g.news[0], reuseport.Range{First: n, Count: max(1, m-n)}); err != nil {
			return err
		}
	}
	// There is no way back from here, so no error ends the restart any more.
	for _, g := range groups {
		for i := 0; 0 < len(g.news) && len(g.news) < len(g.olds) && i < len(g.olds); i++ {
			if err := borrow(old.Pid, g.olds[i], mute); err != nil {
				s.Log.Warn("connections may be lost while the old copy closes its sockets", "error", err)
			}
		}
	}
	return nil
}

// lead makes the loop regard next as the main process.
func (s *supervisor) lead(ctx context.Context, next *process) error {
	select {
	case s.leads <- next:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish waits until the old sockets are gone, and steers to all.
func (s *supervisor) finish(ctx context.Context, next *process, groups []*group) error {
	olds := map[uint64]bool{}
	for _, g := range groups {
		for _, x := range g.olds {
			olds[x.Inode] = true
		}
	}
	deadline := time.NewTimer(s.CloseTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(lookPause)
	defer tick.Stop()
	for {
		now, err := s.look(ctx, next, olds)
		if err != nil {
			return err
		}
		if countOlds(now) == 0 {
			return s.keep(next, now)
		}
		select {
		case <-next.exited:
			return errors.New("it has ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("the old one still has %d sockets %v after its stop signal %v; "+
				"connections do not reach them, but no restart is possible while they are there", countOlds(now), s.CloseTimeout, s.stop)
		case <-tick.C:
		}
	}
}
