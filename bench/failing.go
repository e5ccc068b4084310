package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// hangTimeout is when a supervisor kills a new process that is not ready.
	hangTimeout = 500 * time.Millisecond
	// rescueDelay is how long it then looks whether the old one serves on.
	rescueDelay = 300 * time.Millisecond
)

// failOnce has the new process fail. As a supervisor would, it starts another
// if the old one is gone; else the old one is the leader still.
func failOnce(ctx context.Context, f *fleet, l *load, old *process) (time.Duration, *process, error) {
	began := time.Now()
	told := filepath.Join(f.dir, string(f.scenario.failing))
	if err := os.WriteFile(told, nil, 0o600); err != nil {
		return 0, nil, err
	}
	failed, err := f.fail(ctx, old)
	if err != nil {
		return 0, nil, err
	}
	stays := f.stays(ctx, old)
	endCtx, cancel := f.bound(ctx)
	defer cancel()
	select {
	case <-failed.done(): // whether it was ours to wait for or its parent did
	case <-endCtx.Done():
		return 0, nil, fmt.Errorf("the process that failed (pid %d) is still there: %w", failed.pid, context.Cause(endCtx))
	}
	if err := os.Remove(told); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, nil, err
	}
	if stays {
		return time.Since(began), old, nil
	}
	startCtx, cancel := f.bound(ctx)
	defer cancel()
	next, err := f.start(startCtx)
	if err != nil {
		return 0, nil, err
	}
	answered, err := l.answered(startCtx, next.generation)
	if err != nil {
		return 0, nil, err
	}
	if err := old.gone(startCtx); err != nil {
		return 0, nil, err
	}
	// If the old process was its parent and did not wait for it, we are now.
	if orphan, err := os.FindProcess(failed.pid); err == nil {
		newProcess(orphan, 0).reap()
	}
	return answered.Sub(began), next, nil
}

// stays reports whether the old generation goes on to serve. It says no as
// soon as a supervisor would see it: the process is gone, or nobody listens.
func (f *fleet) stays(ctx context.Context, old *process) bool {
	ctx, cancel := context.WithTimeout(ctx, rescueDelay)
	defer cancel()
	t := f.target
	t.timeout = rescueDelay
	for refusals := 0; refusals < 2; {
		select {
		case <-old.done():
			return false
		default:
		}
		c := f.scenario.client(&t)
		_, failed := c.do(ctx)
		c.close()
		if failed != nil && failed.kind == refused {
			refusals++
		} else {
			refusals = 0
		}
		if !wait(ctx, 5*time.Millisecond, nil) {
			return true
		}
	}
	return false
}

// fail restarts with a process that fails, and returns it when it is dead.
func (f *fleet) fail(ctx context.Context, old *process) (*process, error) {
	ctx, cancel := f.bound(ctx)
	defer cancel()
	if f.scenario.failing == hangs {
		return f.failHanging(ctx, old)
	}
	known := len(f.processes)
	_, err := f.method.restart(ctx, f, old)
	if len(f.processes) == known {
		return nil, fmt.Errorf("no process that could crash was seen: %w", err)
	}
	return f.processes[len(f.processes)-1], nil
}

// failHanging restarts with a process that never gets ready, and kills it when
// it has hung for hangTimeout.
func (f *fleet) failHanging(ctx context.Context, old *process) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	restarted := make(chan error, 1)
	go func() {
		_, err := f.method.restart(ctx, f, old)
		restarted <- err
	}()
	pid, err := f.readPID(ctx, string(hangs), 0)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("no process began to hang: %w", errors.Join(err, <-restarted))
	}
	wait(ctx, hangTimeout, nil)
	found, err := os.FindProcess(pid)
	if err != nil {
		cancel()
		return nil, errors.Join(err, <-restarted)
	}
	_ = found.Kill()
	cancel()
	if <-restarted == nil {
		return nil, errors.New("a process that was to hang got ready")
	}
	if p := find(f.processes, pid, func(p *process) int { return p.pid }); p != nil {
		return p, found.Release() // started by us
	}
	p := newProcess(found, 0)
	f.processes = append(f.processes, p)
	return p, nil
}
