package supervise

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	lookPause = 10 * time.Millisecond
	// stableTime is how long the number of sockets must not change: a program
	// opens them one by one. After an explicit check that does not matter.
	stableTime = 100 * time.Millisecond
	// changeTime is how long sockets of the old copy may be missing before that
	// is no crash in progress, but a program that replaces its own.
	changeTime = time.Second
)

// errOldGone is a restart whose old copy ended first.
var errOldGone = errors.New("the old copy stopped listening by itself")

// awaitReady waits until a copy listens on every address and is ready, and
// returns its groups. It waits for ReadyTimeout. old and olds are nil for a
// copy that replaces nothing. listens runs once between the two.
func (s *supervisor) awaitReady(ctx context.Context, p, old *process, olds map[uint64]bool, listens func([]*group) error) ([]*group, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.ReadyTimeout, fmt.Errorf("not ready within %v", s.ReadyTimeout))
	defer cancel()
	var gone <-chan struct{}
	if old != nil {
		gone = old.exited
	}
	var (
		last    error
		told    bool
		had     map[uint64]bool
		since   = time.Now()
		whole   = time.Now() // when all olds were last seen
		tick    = time.NewTicker(lookPause)
		checked time.Time
	)
	defer tick.Stop()
	for {
		select {
		case <-p.exited:
		case <-gone:
		case <-ctx.Done():
		case <-tick.C:
		}
		switch {
		case p.ended():
			return nil, fmt.Errorf("it ended with status %d before it was ready; its own output says more", p.code())
		case old != nil && old.ended():
			return nil, errOldGone
		case ctx.Err() != nil:
			return nil, overdue(ctx, last)
		}
		groups, err := s.look(ctx, p, olds)
		if ctx.Err() != nil {
			continue
		}
		switch {
		case errors.Is(err, errUnseen): // it may not listen yet, and the sockets be another's
			last = err
			continue
		case err != nil && p.zombie(): // its workers look like strangers until we have reaped it
			continue
		case err != nil:
			return nil, err
		}
		switch n := countOlds(groups); {
		case n == len(olds):
			whole = time.Now()
		case n == 0:
			return nil, errOldGone
		case time.Since(whole) > changeTime:
			return nil, errors.New("the old copy closed some of its sockets meanwhile: restart again when it has settled")
		default:
			continue
		}
		if now := inodes(groups); !maps.Equal(now, had) {
			had, since = now, time.Now()
		}
		if a, ok := s.missing(groups); ok {
			last = fmt.Errorf("it does not listen on %s", a.text)
			continue
		}
		if old != nil && slices.ContainsFunc(groups, func(g *group) bool { return g.early && len(g.news) == 0 }) {
			last = fmt.Errorf("it does not listen on port %d for the check, which the old copy would answer", s.check.port)
			continue
		}
		if s.check.kind == "" && time.Since(since) < stableTime {
			continue
		}
		if !told {
			if err := listens(groups); err != nil {
				return nil, err
			}
			told = true
		}
		if time.Since(checked) < attemptPause {
			continue
		}
		if err := s.pass(ctx, p); ctx.Err() == nil {
			last = err
		}
		if last == nil && ctx.Err() == nil {
			// More sockets may have appeared during the check.
			return s.look(ctx, p, olds)
		}
		checked = time.Now()
	}
}

// overdue says what has not happened when ctx ended.
func overdue(ctx context.Context, last error) error {
	if last == nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), last)
}

func countOlds(groups []*group) int {
	n := 0
	for _, g := range groups {
		n += len(g.olds)
	}
	return n
}

// pass tries the readiness check once.
func (s *supervisor) pass(ctx context.Context, p *process) error {
	switch s.check.kind {
	case "":
		return nil
	case "notify":
		select {
		case <-p.notified:
			return nil
		default:
			return errors.New("it has not sent READY=1")
		}
	case "exec":
		return s.execute(ctx, p)
	}
	return s.check.attempt(ctx)
}

// execute runs a command that succeeds when the copy is ready.
func (s *supervisor) execute(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	env := append(slices.Clone(os.Environ()), "GRACEPORT_PID="+strconv.Itoa(p.Pid))
	c, err := s.family.start([]string{"sh", "-c", s.check.arg}, env)
	if err != nil {
		return err
	}
	select {
	case <-c.exited:
	case <-ctx.Done():
		s.kill(c)
		<-c.exited
		return fmt.Errorf("%s: %w", s.check.arg, ctx.Err())
	}
	if c.code() != 0 {
		return fmt.Errorf("%s: exit status %d", s.check.arg, c.code())
	}
	return nil
}
