package handoff

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// Progress is a step of an upgrade, as it is reported while it goes on.
type Progress struct {
	// Event is started, hello, bound (once for each listener), sharing, leading,
	// retire, and at last done or failed.
	Event      string `json:"event"`
	PID        int    `json:"pid,omitempty"`        // of the successor; 0 if it could not be started
	Generation int    `json:"generation,omitempty"` // the successor's number; 0 when it is started, and at last
	Reason     string `json:"reason,omitempty"`     // why it failed
}

// UpgradeOptions adjusts UpgradeWith. The zero value, and nil, mean the
// successor's own Config.
type UpgradeOptions struct {
	Plan      []Share  `json:"plan,omitempty"`      // replaces the successor's Config.Plan
	Probation Duration `json:"probation,omitempty"` // replaces its Config.Probation
	// Progress is called for each step, in the goroutine of UpgradeWith. The
	// takeover does not wait for it, the deadline for the successor to join does.
	// nil is not called.
	Progress func(Progress) `json:"-"`
}

// Upgrade starts a successor, with Config.Command or our own executable's
// path, arguments and environment, and waits until it leads for good: after its
// shares and its probation, if it has any. When that fails, the error matches
// [ErrUpgradeFailed] and says why, and this generation serves on. A successor
// that is not ready within ReadyTimeout is killed. When ctx ends before, it is
// refused, and killed too unless it receives connections. When Stop is called
// before it has joined, the error matches [ErrStopped] too, and it goes on alone.
//
// Where nothing is started, the error matches [ErrNotLeading] or [ErrBusy].
func (g *Generation) Upgrade(ctx context.Context) error { return g.UpgradeWith(ctx, nil) }

// UpgradeWith is Upgrade with options.
func (g *Generation) UpgradeWith(ctx context.Context, o *UpgradeOptions) error {
	if o == nil {
		o = &UpgradeOptions{}
	}
	if err := checkPlan(o.Plan); err != nil {
		return fmt.Errorf("handoff: upgrade: %w", err)
	}
	if o.Probation < 0 {
		return fmt.Errorf("handoff: upgrade: the probation is negative: %v", o.Probation)
	}
	u := newUpgrade(o)
	g.awaitSettled(ctx)
	err := ErrNotLeading
	g.do(func() {
		switch {
		case g.loop.upgrade != nil || g.loop.m.phase == phaseHosting:
			err = ErrBusy
		case g.loop.m.phase == phaseLeading:
			g.loop.upgrade, err = u, nil
		}
	})
	if err != nil {
		return fmt.Errorf("handoff: upgrade: %w", err)
	}
	defer g.do(func() {
		if g.loop.upgrade == u {
			g.loop.upgrade = nil
		}
	})
	g.notify.upgrading()
	err = g.runUpgrade(ctx, u)
	u.deliver()
	if err != nil {
		g.notify.upgradeFailed(err)
		u.progress(Progress{Event: "failed", PID: u.pid(), Reason: err.Error()})
		return fmt.Errorf("handoff: %w: %w", ErrUpgradeFailed, err)
	}
	u.progress(Progress{Event: "done", PID: u.pid()})
	return nil
}

// awaitSettled waits while our own predecessor is closing its sockets: whoever
// sees us serve may ask for the next upgrade before that is done.
func (g *Generation) awaitSettled(ctx context.Context) {
	taking := false
	g.do(func() { taking = g.loop.m.phase == phaseTaking })
	if !taking {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, g.duration(deadlineRetire))
	defer cancel()
	select {
	case <-g.settled:
	case <-ctx.Done():
	case <-g.ended:
	}
}

func (g *Generation) runUpgrade(ctx context.Context, u *upgrade) error {
	if isClosed(u.done) {
		return u.err // stopped meanwhile
	}
	cmd := g.command.new()
	yield := g.planYield(cmd)
	if err := cmd.Start(); err != nil {
		g.loop.counters.neverJoined(takeoverDied)
		return fmt.Errorf("start the successor: %w", err)
	}
	ended := make(chan struct{})
	g.notify.started(cmd.Process.Pid)
	go g.reap(cmd, ended)
	exited := ended
	u.started(cmd.Process)
	if yield.on {
		go u.yieldSoon(yield, g.cfg.Yield)
	}
	if isClosed(u.done) {
		u.rouse(g.log) // who finished it did not know of the process
	}
	u.report(Progress{Event: "started", PID: cmd.Process.Pid})
	g.log.Info("started a successor", "successor_pid", cmd.Process.Pid, "command", cmd.Path)

	patience := newPatientTimer()
	defer patience.stop()
	patience.arm(g.cfg.ReadyTimeout)
	yielded, stopTimer := yield.timer(g.cfg.Yield)
	defer stopTimer()
	for {
		select {
		case <-u.done:
			return u.outcome(ended, cmd)
		case <-u.reported:
			u.deliver()
		case <-exited:
			// What it had sent comes first: it may have been refused for a reason.
			g.do(func() {})
			select {
			case <-u.done:
				return u.outcome(ended, cmd)
			default:
			}
			if g.hosting(cmd.Process.Pid) {
				exited = nil // the end of the conversation will tell
				continue
			}
			g.loop.counters.neverJoined(takeoverDied)
			return fmt.Errorf("the successor (pid %d) ended before it was ready: %v; its own log says more", cmd.Process.Pid, cmd.ProcessState)
		case <-yielded:
			g.rouseSuccessor(u)
		case <-patience.C():
			if !patience.expired() || !g.killUnlessJoined(u) {
				continue // the machine's own deadline is in force
			}
			g.loop.counters.neverJoined(takeoverTimedOut)
			return fmt.Errorf("the successor (pid %d) did not join within %v", cmd.Process.Pid, g.cfg.ReadyTimeout)
		case <-ctx.Done():
			g.cancelUpgrade(u)
			return ctx.Err()
		case <-g.ended:
			u.rouse(g.log) // it goes on alone
			return ErrStopped
		}
	}
}

// reap waits for the end of a successor and closes ended. One that dies as the
// service manager's main process is left for the manager to wait for, or it would
// never know: it inherits it when we end, which is urgent, for nobody serves.
func (g *Generation) reap(cmd *exec.Cmd, ended chan struct{}) {
	if g.notify != nil {
		awaitChild(cmd.Process.Pid)
	}
	if g.notify.handedOverTo(cmd.Process.Pid) && !g.anotherLeads() {
		g.log.Error("the successor has died, ending for the service to be started again", "successor_pid", cmd.Process.Pid)
		g.expire()
		return
	}
	cmd.Wait()
	close(ended)
}

func (g *Generation) anotherLeads() bool {
	service := Service{dir: g.dir, Timeout: g.cfg.StepTimeout / 4}
	all, _ := service.Status(context.Background()) // an error: none lives
	return slices.ContainsFunc(all, func(st Status) bool { return st.Leader && st.Generation != g.number })
}

// hosting reports whether a takeover by that process is under way.
func (g *Generation) hosting(pid int) (yes bool) {
	g.do(func() { yes = g.loop.m.lower == peerTalking && g.loop.lowerPID == pid })
	return yes
}

// killUnlessJoined is in the loop, so that the successor cannot join, nor we be
// told to stop and leave it alone to serve, right before it is killed.
func (g *Generation) killUnlessJoined(u *upgrade) (killed bool) {
	g.do(func() {
		if killed = g.loop.upgrade == u && g.loop.m.phase == phaseLeading; killed {
			u.kill()
		}
	})
	return killed
}

// cancelUpgrade refuses the successor, and kills one that received nothing: it
// may not have joined, and never hear of it.
func (g *Generation) cancelUpgrade(u *upgrade) {
	g.do(func() {
		if g.loop.upgrade != u {
			return // it is over, and a successor that gave back drains
		}
		if received := g.loop.m.chosen || g.loop.m.phase > phaseHosting; !received {
			u.kill()
		}
		g.step(event{kind: evRollback, reason: "the upgrade was cancelled"})
	})
}

// upgrade is a successor that we start, from its start until it leads.
type upgrade struct {
	plan      []Share
	probation time.Duration
	progress  func(Progress)
	reported  chan struct{} // there is something to deliver

	mu      sync.Mutex
	queue   []Progress
	process *os.Process
	yield   yielding
	roused  bool // the successor yields no longer, or never will
	err     error
	done    chan struct{}
	once    sync.Once
}

func newUpgrade(o *UpgradeOptions) *upgrade {
	u := &upgrade{plan: o.Plan, probation: time.Duration(o.Probation), progress: o.Progress,
		reported: make(chan struct{}, 1), done: make(chan struct{})}
	if u.progress == nil {
		u.progress = func(Progress) {}
	}
	return u
}

func (u *upgrade) started(p *os.Process) {
	u.mu.Lock()
	u.process = p
	u.mu.Unlock()
}

func (u *upgrade) pid() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process == nil {
		return 0
	}
	return u.process.Pid
}

// report queues a step, since the loop must not wait for who hears of it.
func (u *upgrade) report(p Progress) {
	u.mu.Lock()
	u.queue = append(u.queue, p)
	u.mu.Unlock()
	select {
	case u.reported <- struct{}{}:
	default:
	}
}

// deliver tells what is queued.
func (u *upgrade) deliver() {
	u.mu.Lock()
	queue := u.queue
	u.queue = nil
	u.mu.Unlock()
	for _, p := range queue {
		u.progress(p)
	}
}

func (u *upgrade) finish(err error) {
	u.once.Do(func() {
		u.err = err
		close(u.done)
	})
}

func (u *upgrade) fail(reason string) { u.finish(errors.New(reason)) }

// kill ends the successor at once. A nil upgrade, a takeover that somebody
// else started, is left alone.
func (u *upgrade) kill() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process != nil {
		u.process.Kill() // an error says that it has ended
	}
}

// exitTime is how long a failed successor's exit status is waited for.
const exitTime = 500 * time.Millisecond

// outcome adds the exit status to the reason why a successor failed.
func (u *upgrade) outcome(ended chan struct{}, cmd *exec.Cmd) error {
	if u.err == nil {
		return nil
	}
	t := time.NewTimer(exitTime)
	defer t.Stop()
	select {
	case <-ended:
		return fmt.Errorf("%w (%v)", u.err, cmd.ProcessState)
	case <-t.C:
		return u.err
	}
}
