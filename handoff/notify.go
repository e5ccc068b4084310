package handoff

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/graceport/graceport/handoff/sdnotify"
)

// A notifier tells the service manager how this generation is, by
// sd_notify(3), in the order that the manager's rules ask for: it hears its
// main process only (NotifyAccess=main), and when that ends the service has.
//
// So the manager is told of a successor that we started when our last socket
// is closed. Until then everything can still be given back to us, and so we
// stay its main process; from then on the successor speaks and we are silent.
// A successor that somebody else started is another unit's, and speaks for
// itself. A nil notifier does nothing.
type notifier struct {
	send       func(fields ...string) error
	log        *slog.Logger
	generation int
	watchdog   time.Duration // how often the manager wants to hear from us; 0 is never
	sameUnit   func(pid int) bool

	mu        sync.Mutex
	role      role
	child     int  // the successor that we started last
	reloading bool // RELOADING=1 was sent, and READY=1 not yet
	draining  bool
	hurried   bool       // no more time to drain
	unsent    [][]string // the manager's socket was full
	retrying  bool

	closing chan struct{}
	ended   chan struct{}
}

// role says whether the manager listens to us.
type role uint8

const (
	roleMain   role = iota // it started us
	roleChild              // our predecessor did, and is its main process
	roleFormer             // a successor is its main process
)

const toldToStop = "was told to stop"

// extension is how much longer the manager is asked to wait, again every third
// of it.
const extension = 30 * time.Second

func newNotifier(to *sdnotify.Notifier, generation int, log *slog.Logger) *notifier {
	if to == nil {
		return nil
	}
	return &notifier{send: to.Notify, log: log, generation: generation, watchdog: watchdogInterval(), sameUnit: sameUnit,
		closing: make(chan struct{}), ended: make(chan struct{})}
}

const (
	envWatchdog    = "WATCHDOG_USEC"
	envWatchdogPID = "WATCHDOG_PID"
)

// watchdogInterval is that of the manager's watchdog if it concerns us
// (sd_watchdog_enabled(3)). A successor inherits no WATCHDOG_PID and sets its
// own here, for what else in the process asks.
func watchdogInterval() time.Duration {
	usec, err := strconv.ParseInt(os.Getenv(envWatchdog), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	pid := strconv.Itoa(os.Getpid())
	switch os.Getenv(envWatchdogPID) {
	case "":
		os.Setenv(envWatchdogPID, pid)
	case pid:
	default:
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// sameUnit reports whether a process is in our control group, and so belongs
// to our unit.
func sameUnit(pid int) bool {
	ours, err := os.ReadFile("/proc/self/cgroup")
	theirs, errTheirs := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && errTheirs == nil && string(ours) == string(theirs)
}

// startedBy tells who started us: our predecessor, or else the manager.
func (n *notifier) startedBy(predecessor bool) {
	if n == nil || !predecessor {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.role = roleChild
}

// before is called in the loop ahead of each action that is taken in a phase.
func (n *notifier) before(g *Generation, in phase, a action) {
	if n == nil {
		return
	}
	switch {
	case in == phaseDark && a.kind == actServing:
		n.say("READY=1", n.status("serves"))
	case in >= phaseDark && in <= phaseTaking && a.kind == actUnlock:
		n.lead()
	case in == phaseRetiring && a.kind == actTell && a.msg == msgRetired:
		// Before the successor knows: what it sends itself comes after this.
		n.handOver(g.loop.lowerPID, g.loop.lowerGen)
	case in == phaseRetiring && a.kind == actHostFailed:
		n.upgradeFailed(errors.New("the successor ended before our last socket was closed"))
	}
}

func (n *notifier) status(text string) string {
	return sdnotify.Status(fmt.Sprintf("generation %d %s", n.generation, text))
}

func extend() string { return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extension.Microseconds()) }

// upgrading says that we are about to start a successor.
func (n *notifier) upgrading() {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reloading = true
	n.sayLocked(append(sdnotify.Reloading(), extend(), n.status("is being replaced"))...)
}

// started tells which process the successor is.
func (n *notifier) started(pid int) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.child = pid
}

// upgradeFailed ends the reload: we serve on.
func (n *notifier) upgradeFailed(err error) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reloading {
		n.reloading = false
		text := fmt.Sprintf("upgrade failed: %v", err)
		if !n.draining {
			text += fmt.Sprintf("; generation %d serves on", n.generation)
		}
		n.sayLocked("READY=1", sdnotify.Status(text))
	}
}

// handOver makes a successor that we started the manager's main process. One
// datagram says all: whatever follows it would no longer be heard.
func (n *notifier) handOver(pid, generation int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	reloading := n.reloading
	n.reloading = false
	if pid == n.child && n.sameUnit(pid) {
		fields := []string{fmt.Sprintf("MAINPID=%d", pid), "READY=1", sdnotify.Status(fmt.Sprintf("generation %d serves", generation))}
		if n.watchdog > 0 {
			fields = append(fields, "WATCHDOG=1") // its first own one follows within half the interval
		}
		n.sayLocked(fields...)
		if n.role == roleMain {
			n.role = roleFormer
		}
		return
	}
	if !reloading {
		return // another unit's successor
	}
	n.log.Warn("the successor is not our child in our control group: the service manager will consider us ended with this process; Config.Command should exec the service", "successor_pid", pid)
	n.sayLocked("READY=1")
}

// handedOverTo reports whether that process is the manager's main process by
// our word.
func (n *notifier) handedOverTo(pid int) bool {
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.role == roleFormer && n.child == pid
}

// drain asks the manager for time, from now until hurry or the end. It never
// says STOPPING=1: while a successor serves, the service is not stopping.
func (n *notifier) drain(what string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.draining = true
	n.sayLocked(extend(), n.status(what))
}

// hurry leaves it to the manager's own timeouts from now on.
func (n *notifier) hurry() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hurried = true
}

func (n *notifier) needsTime() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return (n.reloading || n.draining) && !n.hurried
}

// lead is called when our own takeover is over and we lead: then our
// predecessor has named us its successor.
func (n *notifier) lead() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.role != roleChild {
		return
	}
	n.role = roleMain
	if n.draining {
		n.sayLocked(extend(), n.status(toldToStop)) // before anybody listened
	}
}
