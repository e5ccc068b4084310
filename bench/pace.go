package bench

import (
	"context"
	"sync/atomic"
	"time"
)

// A pace says when the next request is due. It is shared by all clients.
type pace interface {
	// next waits for the caller's turn and returns the time from which the
	// request's latency counts; ok is false when there is no further request.
	// The caller passes the failure of its previous request, if it failed.
	next(ctx context.Context, previous *failure) (from time.Time, ok bool)

	// stop ends the pace: nothing becomes due any more.
	stop()
}

// dialBackoff keeps a client whose server is absent from spinning: without it
// the number of refused connections would measure the speed of connect(2).
const dialBackoff = time.Millisecond

// closedLoop lets each client go on as soon as its last request has ended.
type closedLoop struct{ done chan struct{} }

var _ pace = (*closedLoop)(nil)

func newClosedLoop() *closedLoop { return &closedLoop{done: make(chan struct{})} }

func (p *closedLoop) next(ctx context.Context, previous *failure) (time.Time, bool) {
	if previous != nil && previous.phase == dialing {
		if !wait(ctx, dialBackoff, p.done) {
			return time.Time{}, false
		}
	}
	select {
	case <-p.done:
		return time.Time{}, false
	case <-ctx.Done():
		return time.Time{}, false
	default:
		return time.Now(), true
	}
}

func (p *closedLoop) stop() { close(p.done) }

// openLoop makes request i due at start + i/rate, whether or not earlier ones
// were answered. When every client is busy the request waits for one, and the
// wait is part of its latency.
type openLoop struct {
	start    time.Time
	interval time.Duration
	issued   atomic.Int64
	end      atomic.Pointer[time.Time]
	done     chan struct{}
}

var _ pace = (*openLoop)(nil)

func newOpenLoop(rate int) *openLoop {
	return &openLoop{
		start:    time.Now(),
		interval: time.Second / time.Duration(rate),
		done:     make(chan struct{}),
	}
}

func (p *openLoop) next(ctx context.Context, _ *failure) (time.Time, bool) {
	due := p.start.Add(time.Duration(p.issued.Add(1)-1) * p.interval)
	if d := time.Until(due); d > 0 && !wait(ctx, d, p.done) {
		return time.Time{}, false
	}
	// Requests that were due before the end are still made, however late:
	// dropping them would drop the worst latencies.
	if end := p.end.Load(); ctx.Err() != nil || end != nil && due.After(*end) {
		return time.Time{}, false
	}
	return due, true
}

func (p *openLoop) stop() {
	now := time.Now()
	p.end.Store(&now)
	close(p.done)
}

// wait returns true after d, and false if ctx or done ends first.
func wait(ctx context.Context, d time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
	case <-ctx.Done():
	}
	return false
}
