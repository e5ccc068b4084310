package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// first waits for the first copy, which replaces nothing.
func (s *supervisor) first(ctx context.Context) error {
	p := s.main
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
		return errors.Join(err, s.restore(ctx, old, before))
	}
	s.Log.Info("new copy started", "pid", next.Pid)
	err = s.prepare(ctx, next, old, before)
	alone := errors.Is(err, errOldGone)
	if alone {
		s.Log.Warn("the old copy stopped listening by itself: the new one leads at once", "old", old.Pid, "pid", next.Pid)
		err = nil
	}
	if err == nil {
		err = s.lead(ctx, next)
	}
	if err != nil {
		s.kill(next)
		<-next.exited
		return fmt.Errorf("the new copy (pid %d): %w", next.Pid, errors.Join(err, s.restore(ctx, old, before)))
	}
	_ = old.Signal(s.stop) // an error: it has ended
	s.Log.Info("new copy leads, old copy told to stop", "pid", next.Pid, "old", old.Pid, "signal", s.stop)
	err = s.settle(ctx, next, inodes(before), s.CloseTimeout)
	if err == nil && alone { // it leads without having passed the check
		_, err = s.awaitReady(ctx, next, nil, nil, func([]*group) error { return nil })
	}
	if err != nil {
		return fmt.Errorf("the new copy (pid %d) leads, but %w", next.Pid, err)
	}
	s.Log.Info("restarted", "pid", next.Pid, "old", old.Pid, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// prepare brings a restart to the point where the old copy has nothing left
// that it has not accepted.
func (s *supervisor) prepare(ctx context.Context, next, old *process, before []*group) error {
	groups, err := s.awaitReady(ctx, next, old, inodes(before), func(groups []*group) error {
		return s.take(next, slices.DeleteFunc(slices.Clone(groups), func(g *group) bool { return !g.early }))
	})
	if err != nil || s.NoSteer {
		return err
	}
	if err := s.take(next, groups); err != nil {
		return err
	}
	if err := s.empty(ctx, next, groups); err != nil {
		return err
	}
	return s.guard(next, old, groups)
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

// lead makes the loop regard next as the main process.
func (s *supervisor) lead(ctx context.Context, next *process) error {
	select {
	case s.leads <- next:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// restore leaves everything with the old copy after the new one has ended.
func (s *supervisor) restore(ctx context.Context, old *process, before []*group) error {
	if s.NoSteer || old.ended() {
		return nil
	}
	// The readiness check's group may still be the new copy's, some of whose
	// processes may not have closed their sockets yet.
	if err := s.keep(old, before); err != nil {
		return err
	}
	if err := s.settle(ctx, old, nil, changeTime); err != nil && ctx.Err() == nil {
		s.Log.Warn("sockets that the program opens from now on receive nothing", "pid", old.Pid, "error", err)
	}
	return nil
}

// settle waits until p is alone in its groups, and lets all of its sockets
// receive.
func (s *supervisor) settle(ctx context.Context, p *process, olds map[uint64]bool, within time.Duration) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(lookPause)
	defer tick.Stop()
	for {
		now, err := s.look(ctx, p, olds)
		switch n := countOlds(now); {
		case err != nil:
		case n == 0:
			err = s.spread(p, now)
		default:
			err = fmt.Errorf("the old one still has %d sockets %v after its stop signal %v; "+
				"connections do not reach them, but no restart is possible while they are there", n, within, s.stop)
		}
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it ended with status %d", p.code())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return err
		case <-tick.C:
		}
	}
}
