package handoff

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Generation is one process's part in the life of a service. Its methods may
// be called from several goroutines. The order of use is Open, Listen for each
// address, Ready, and when Superseded is closed Close.
type Generation struct {
	cfg     Config
	log     *slog.Logger
	dir     directory
	number  int
	started time.Time
	lock    *os.File // held until we lead or gave up
	control *control
	command successorCommand
	notify  *notifier

	listening sync.Mutex // held by Listen, over all that it waits for; before mu
	offering  sync.Mutex // State and Files are asked

	inputs     chan input
	joined     chan struct{} // Listen may be called
	serving    chan struct{} // Ready may return
	settled    chan struct{} // our own takeover is over
	failed     chan struct{} // it never will, or leads no longer: err says why
	superseded chan struct{}
	closing    chan struct{} // Close was called
	ended      chan struct{} // the loop has returned
	expired    chan struct{} // no more time to drain

	closeOnce  sync.Once
	expireOnce sync.Once
	settleOnce sync.Once
	stopAsked  atomic.Bool

	mu        sync.Mutex // guards what follows
	err       error
	listeners []*listener
	welcome   message        // of the predecessor
	upperPeer credentials    // of its process, known before its welcome
	files     map[string]int // descriptors of the predecessor, until Files
	ready     bool           // Ready was called: no more listeners
	loop      loopState
}

// Open joins the service whose control directory is cfg.Dir: as the successor
// of the generation that leads it, or as its first. It waits until no other
// generation is joining and the predecessor has answered, bounded by ctx and
// cfg's timeouts, and then changes nothing for the predecessor until Ready.
//
// A predecessor that does not answer within StepTimeout, because it is stopped
// or hangs, is passed over: Ready takes the traffic from it all the same.
//
// The error matches [ErrBusy] if another generation is still joining after
// ReadyTimeout, [ErrRefused] if the predecessor wants none, and the error of ctx
// if that ended. Outside Linux it matches errors.ErrUnsupported. Then nothing is
// left open; otherwise the caller calls Close in the end.
func Open(ctx context.Context, cfg Config) (*Generation, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	dir, err := openDirectory(cfg.Dir)
	if err != nil {
		return nil, err
	}
	g := &Generation{
		cfg: cfg, log: cfg.Logger, dir: dir, started: time.Now(),
		inputs: make(chan input), joined: make(chan struct{}), serving: make(chan struct{}),
		failed: make(chan struct{}), settled: make(chan struct{}), superseded: make(chan struct{}),
		closing: make(chan struct{}), ended: make(chan struct{}),
		expired: make(chan struct{}),
	}
	if g.command, err = newSuccessorCommand(cfg.Command); err != nil {
		return nil, err
	}
	lockCtx, cancel := context.WithTimeoutCause(ctx, cfg.ReadyTimeout, errors.New("gave up waiting after ReadyTimeout"))
	defer cancel()
	if g.lock, err = dir.lock(lockCtx); err != nil {
		return nil, err
	}
	if g.number, err = dir.next(g.lock); err == nil {
		err = dir.sweep()
	}
	if err == nil {
		g.log = g.log.With("generation", g.number)
		g.control, err = g.serveControl()
	}
	if err != nil {
		g.lock.Close()
		return nil, err
	}
	parent := os.Getppid()
	if g.notify = newNotifier(cfg.Notify, g.number, g.log); g.notify != nil {
		go g.notify.run(g)
	}
	go g.run()
	go g.findPredecessor()
	select {
	case <-g.joined:
		g.mu.Lock()
		predecessor := g.upperPeer.pid
		g.mu.Unlock()
		g.notify.startedBy(predecessor == parent)
		if predecessor == 0 {
			g.rouseSelf() // for nobody serves until we do
		}
		return g, nil
	case <-g.failed:
		err = g.Err()
	case <-ctx.Done():
		err = ctx.Err()
	}
	g.Close()
	return nil, fmt.Errorf("handoff: join %s: %w", cfg.Dir, err)
}

// Number returns the generation's number, 1 for the first in a control directory.
// Numbers only grow.
func (g *Generation) Number() int { return g.number }

// State returns the blobs that the predecessor offered by its Config.State, none
// if there is no predecessor or it did not answer. They are not to be changed.
func (g *Generation) State() map[string][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.welcome.State)
}

// Ready takes over from the generation that served before. The application
// must be accepting from all its listeners by then, and cannot open others
// afterwards. It returns when new connections go to this generation: all of
// them, or with a Plan the first share. The predecessor may still be closing its
// sockets, and drains its connections.
//
// When the predecessor refuses or ctx ends before that, Ready fails: the
// predecessor serves on, and this generation cannot any more. The error matches
// [ErrRefused], the error of ctx, or after Stop or Close [ErrStopped]. Once we
// have begun to take over, an end of ctx changes nothing. What ends a takeover
// later, such as a rollback, closes Superseded, and Err says why.
func (g *Generation) Ready(ctx context.Context) error {
	g.rouseSelf()
	g.mu.Lock()
	g.ready = true
	g.mu.Unlock()
	if ctx.Err() == nil {
		g.post(event{kind: evReady})
	}
	select {
	case <-g.serving:
		return nil
	case <-g.failed:
		if isClosed(g.serving) {
			return nil
		}
		return fmt.Errorf("handoff: ready: %w", g.Err())
	case <-ctx.Done():
		// Only where nothing was taken yet: who has told its predecessor to retire
		// and then stops leaves nobody.
		g.do(func() {
			if g.loop.m.phase == phaseDark {
				g.step(event{kind: evStop, reason: "its Ready was cancelled: " + ctx.Err().Error()})
			}
		})
		if isClosed(g.serving) {
			return nil
		}
		return fmt.Errorf("handoff: ready: %w", ctx.Err())
	case <-g.ended:
		return fmt.Errorf("handoff: ready: %w", ErrStopped)
	}
}

// Superseded is closed when this generation's sockets are closed, empty: a
// successor leads, the predecessor leads again (Err says why), or Stop was
// called. The application should then drain its connections and end. It is not
// closed by Close.
func (g *Generation) Superseded() <-chan struct{} { return g.superseded }

// DrainNow is closed when there is no more time to drain: a newer generation's
// MaxDraining is exceeded, or the operator said so. Nothing is closed by it; Run
// ends the context of serve.
func (g *Generation) DrainNow() <-chan struct{} { return g.expired }

func (g *Generation) expire() { g.expireOnce.Do(func() { close(g.expired) }) }

// Err tells why our takeover failed or was given back; the error matches
// [ErrRefused], or [ErrStopped] if it was because of Stop or the end of Ready's
// context. Otherwise it is nil, so also when a successor has taken over or a
// leader was stopped.
func (g *Generation) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Stop closes our sockets as soon as nothing waits in them, and then
// Superseded. While a successor takes over, it is asked to take all at once,
// and we stop when it leads. A successor that is stopped before it asks its
// predecessor to retire gives everything back to it; later, it leads alone first,
// and then stops. It does not wait; a second call does nothing more.
func (g *Generation) Stop() {
	g.stopAsked.Store(true)
	g.notify.drain(toldToStop)
	g.post(event{kind: evStop, reason: "it was told to stop"})
}

// Close ends the generation at once: listeners that are open are closed, with
// what waits in them, and the control socket is removed, after answers that are
// under way, for which it waits a second at most. Accepted connections are the
// application's. Call it when they have drained. It is idempotent and returns
// nil.
func (g *Generation) Close() error {
	g.closeOnce.Do(func() {
		close(g.closing)
		<-g.ended
		g.mu.Lock()
		for _, l := range g.listeners {
			l.Close()
		}
		g.mu.Unlock() // answers under way need it
		g.closeFiles()
		g.control.close()
		g.unlock()
		g.notify.close()
	})
	return nil
}

func (g *Generation) unlock() {
	if g.lock != nil {
		g.lock.Close() // the flock goes with it
		g.lock = nil
	}
}

func (g *Generation) fail(err error) {
	g.mu.Lock()
	if g.err == nil {
		g.err = err
		close(g.failed)
	}
	g.mu.Unlock()
}
