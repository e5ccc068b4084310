package thirdparty

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients of a site that count what they lose.
type load struct {
	*site
	ctx  context.Context // ends when the clients are to finish
	stop context.CancelFunc
	wg   sync.WaitGroup

	producer sync.Once // of events

	answered atomic.Int64
	// away counts connections that were told to go in their protocol's way, and
	// held those that were used to the end after a successor had taken over.
	away, held atomic.Int64

	mu   sync.Mutex
	lost []error
}

// client runs until l.ctx ends. What it is asking then it finishes.
type client func(l *load)

func startLoad(s *site, clients int, c client) *load {
	l := &load{site: s}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for range clients {
		l.wg.Go(func() { c(l) })
	}
	return l
}

func (l *load) stopped() bool { return l.ctx.Err() != nil }

// lose counts an error, and slows a client down that would only meet more.
func (l *load) lose(err error) {
	l.mu.Lock()
	l.lost = append(l.lost, err)
	l.mu.Unlock()
	select {
	case <-time.After(time.Millisecond):
	case <-l.ctx.Done():
	}
}

func (l *load) losses() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// served is what reached all generations together.
func (l *load) served() (n int64) {
	for _, g := range l.generations {
		n += g.served.Load()
	}
	return n
}

// reached waits until the leader has served so many.
func (l *load) reached(t *testing.T, requests int64) {
	t.Helper()
	g := l.leader()
	if !until(func() bool { return g.served.Load() >= requests }) {
		t.Fatalf("generation %d served %d requests in %v, not %d; lost: %v",
			g.Number(), g.served.Load(), patience, requests, errors.Join(l.losses()...))
	}
}

// finish ends the clients.
func (l *load) finish(t *testing.T) {
	t.Helper()
	l.stop()
	done := make(chan struct{})
	go func() { l.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * patience):
		t.Fatal("clients do not end")
	}
}
