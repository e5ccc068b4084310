package handoff

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// manager is the other end of a notifier: what it was sent, one line a
// datagram, without numbers that change.
type manager struct {
	mu   sync.Mutex
	got  []string
	full bool
	gone bool
}

func (m *manager) receive(fields ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.full:
		return syscall.EAGAIN
	case m.gone:
		return syscall.ECONNREFUSED
	}
	fields = slices.Clone(fields)
	for i, f := range fields {
		if strings.HasPrefix(f, "MONOTONIC_USEC=") {
			fields[i] = "MONOTONIC_USEC"
		}
	}
	m.got = append(m.got, strings.Join(fields, " "))
	return nil
}

// expect compares what came since the last call.
func (m *manager) expect(t *testing.T, want ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.got, want) {
		t.Errorf("the manager was sent %q, want %q", m.got, want)
	}
	m.got = nil
}

func (m *manager) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = nil
}

func (m *manager) set(full, gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full, m.gone = full, gone
}

const testChild = 4722

func testNotifier(m *manager) *notifier {
	return &notifier{send: m.receive, log: slog.New(slog.DiscardHandler), generation: 7,
		sameUnit: func(pid int) bool { return pid == testChild },
		closing:  make(chan struct{}), ended: make(chan struct{})}
}

const extended = "EXTEND_TIMEOUT_USEC=30000000"

// The steps of the machine, by the names that it gives them.
func (n *notifier) steps(names ...string) {
	g := &Generation{}
	g.loop.lowerPID, g.loop.lowerGen = testChild, 8
	for _, name := range names {
		in, what, _ := strings.Cut(name, "/")
		n.before(g, phase(slices.Index(phaseNames[:], in)), actionNamed(what))
	}
}

func actionNamed(name string) action {
	for kind := range numActions {
		for _, msg := range messages {
			if a := (action{kind: kind, msg: msg}); a.String() == name {
				return a
			}
		}
	}
	panic("no action " + name)
}

// The steps that the notifier acts on are those of the machine.
func TestNotifyActionsExist(t *testing.T) {
	for _, x := range []struct {
		m      machine
		e      eventKind
		action string
	}{
		{machine{phase: phaseDark, upper: peerTalking}, evReady, "serving"},
		{machine{phase: phaseDark, upper: peerTalking, steps: 1}, evReady, "serving"},
		{machine{phase: phaseDark}, evReady, "unlock"},
		{machine{phase: phaseSharing, upper: peerTalking}, evUpperEnd, "unlock"},
		{machine{phase: phaseProbation, upper: peerTalking}, evUpperEnd, "unlock"},
		{machine{phase: phaseTaking, upper: peerTalking}, evRetired, "unlock"},
		{machine{phase: phaseRetiring, lower: peerTalking, rounds: 1, emptying: true}, evEmptied, "tell-retired"},
		{machine{phase: phaseRetiring, lower: peerTalking, rounds: 1, emptying: true}, evLowerEnd, "host-failed"},
	} {
		_, actions := x.m.step(event{kind: x.e})
		if !slices.ContainsFunc(actions, func(a action) bool { return a.String() == x.action }) {
			t.Errorf("in phase %v, no action %s among %v", x.m.phase, x.action, actions)
		}
	}
}

func TestNotifyStartAndUpgrade(t *testing.T) {
	m := &manager{}
	n := testNotifier(m)
	n.steps("dark/steer", "dark/link", "dark/serving", "dark/unlock")
	m.expect(t, "READY=1 STATUS=generation 7 serves")

	n.upgrading()
	m.expect(t, "RELOADING=1 MONOTONIC_USEC "+extended+" STATUS=generation 7 is being replaced")
	n.started(testChild)
	// Until the last socket is closed the successor may still fail.
	n.steps("leading/tell-welcome", "hosting/host-leading", "starved/host-retire", "retiring/close", "retiring/tell-closed")
	m.expect(t)
	n.steps("retiring/tell-retired")
	m.expect(t, "MAINPID=4722 READY=1 STATUS=generation 8 serves")
	if !n.handedOverTo(testChild) || n.handedOverTo(1) {
		t.Error("handedOverTo does not know the successor")
	}
	// From here on the manager listens to the successor only.
	n.drain("drains")
	n.upgradeFailed(errors.New("no"))
	n.upgrading()
	n.say("READY=1")
	m.expect(t)
}

func TestNotifyFailedUpgrade(t *testing.T) {
	m := &manager{}
	n := testNotifier(m)
	n.upgrading()
	n.started(testChild)
	m.forget()
	n.upgradeFailed(errors.New("the configuration\nMAINPID=1 is missing"))
	m.expect(t, "READY=1 STATUS=upgrade failed: the configuration MAINPID=1 is missing; generation 7 serves on")
	n.upgradeFailed(errors.New("again"))
	m.expect(t)

	n.upgrading()
	m.forget()
	n.steps("retiring/host-failed")
	m.expect(t, "READY=1 STATUS=upgrade failed: the successor ended before our last socket was closed; generation 7 serves on")
	if n.handedOverTo(testChild) {
		t.Error("handed over to a successor that failed")
	}
}

// A successor that another unit started is none of our manager's concern, and
// one that our own command started elsewhere ends the reload only.
func TestNotifyForeignSuccessor(t *testing.T) {
	m := &manager{}
	n := testNotifier(m)
	n.steps("retiring/tell-retired")
	m.expect(t)
	n.drain("drains")
	m.expect(t, extended+" STATUS=generation 7 drains")

	for _, child := range []int{testChild, testChild + 1} {
		n = testNotifier(m)
		n.sameUnit = func(int) bool { return child != testChild }
		n.upgrading()
		n.started(child)
		m.forget()
		n.steps("retiring/tell-retired")
		m.expect(t, "READY=1")
	}
}

// A successor says nothing before its predecessor has made it the main process.
func TestNotifyAsChild(t *testing.T) {
	m := &manager{}
	n := testNotifier(m)
	n.startedBy(true)
	n.steps("dark/serving", "dark/link")
	n.steps("taking/unlock")
	m.expect(t)
	n.upgrading()
	m.expect(t, "RELOADING=1 MONOTONIC_USEC "+extended+" STATUS=generation 7 is being replaced")

	n = testNotifier(m)
	n.startedBy(true)
	n.drain(toldToStop) // by the operator, a moment too early
	m.expect(t)
	n.steps("taking/unlock")
	m.expect(t, extended+" STATUS=generation 7 was told to stop")

	n = testNotifier(m)
	n.startedBy(false)
	m.forget()
	n.steps("dark/serving")
	m.expect(t, "READY=1 STATUS=generation 7 serves")
}

// A manager that does not read loses nothing, in order, and is not waited for;
// one that is gone is not told.
func TestNotifyFullSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{full: true}
		n := testNotifier(m)
		n.steps("dark/serving")
		n.repeat("WATCHDOG=1")
		n.upgrading()
		n.started(testChild)
		n.steps("retiring/tell-retired")
		m.expect(t)
		m.set(false, false)
		time.Sleep(2 * sendRetry)
		synctest.Wait()
		m.expect(t, "READY=1 STATUS=generation 7 serves",
			"RELOADING=1 MONOTONIC_USEC "+extended+" STATUS=generation 7 is being replaced",
			"MAINPID=4722 READY=1 STATUS=generation 8 serves")

		n = testNotifier(m)
		m.set(false, true)
		n.say("READY=1")
		m.set(false, false)
		n.say("STATUS=x")
		m.expect(t, "STATUS=x")
	})
}

// runNotifier runs it beside a loop that answers, or not.
func runNotifier(n *notifier) (g *Generation, hang func(), end func()) {
	g = &Generation{inputs: make(chan input), ended: make(chan struct{}), superseded: make(chan struct{}), expired: make(chan struct{}), notify: n}
	hung := make(chan struct{})
	go func() {
		for {
			select {
			case in := <-g.inputs:
				in.run()
			case <-hung:
				<-g.ended
				return
			case <-g.ended:
				return
			}
		}
	}()
	go n.run(g)
	return g, sync.OnceFunc(func() { close(hung) }), func() {
		close(g.ended)
		n.close()
	}
}

func TestNotifyWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{}
		n := testNotifier(m)
		n.watchdog = 10 * time.Second
		_, _, end := runNotifier(n)
		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		wait(11 * time.Second)
		m.expect(t, "WATCHDOG=1", "WATCHDOG=1")
		n.started(testChild)
		n.steps("retiring/tell-retired")
		m.expect(t, "MAINPID=4722 READY=1 STATUS=generation 8 serves WATCHDOG=1")
		wait(time.Minute)
		m.expect(t)
		end()

		// A successor pings from when it leads, at the latest half an interval
		// after that datagram.
		n = testNotifier(m)
		n.watchdog = 10 * time.Second
		n.startedBy(true)
		_, hang, end := runNotifier(n)
		wait(11 * time.Second)
		m.expect(t)
		n.steps("taking/unlock")
		wait(5 * time.Second)
		m.expect(t, "WATCHDOG=1")
		hang() // and no longer when its loop does not respond
		wait(time.Minute)
		m.expect(t)
		end()
	})
}

func TestNotifyTimeToDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{}
		n := testNotifier(m)
		g, _, end := runNotifier(n)
		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		wait(time.Hour)
		m.expect(t)
		close(g.superseded)
		wait(extension/3*2 + time.Second)
		m.expect(t, extended+" STATUS=generation 7 drains", extended, extended)
		close(g.expired) // the manager's own timeout counts again
		wait(time.Hour)
		m.expect(t)
		end()

		// An upgrade may last longer than the manager's timeout too: its shares
		// are held, or the probation.
		n = testNotifier(m)
		_, _, end = runNotifier(n)
		n.upgrading()
		m.forget()
		wait(extension/3 + time.Second)
		m.expect(t, extended)
		n.upgradeFailed(errors.New("no"))
		m.forget()
		wait(time.Hour)
		m.expect(t)

		m.set(true, false)
		n.say("READY=1")
		began := time.Now()
		end()
		if waited := time.Since(began); waited < sendPatience || waited > 2*sendPatience {
			t.Errorf("the end waited %v for a manager that does not read", waited)
		}
	})
}

func TestWatchdogInterval(t *testing.T) {
	own := fmt.Sprint(os.Getpid())
	for _, x := range []struct {
		usec, pid string
		want      time.Duration
		after     string
	}{
		{"", "", 0, ""},
		{"3000000", own, 3 * time.Second, own},
		{"3000000", "1", 0, "1"}, // another process's
		{"3000000", "", 3 * time.Second, own},
		{"0", own, 0, own},
		{"soon", own, 0, own},
	} {
		t.Setenv(envWatchdog, x.usec)
		t.Setenv(envWatchdogPID, x.pid)
		if got := watchdogInterval(); got != x.want || os.Getenv(envWatchdogPID) != x.after {
			t.Errorf("%s=%q %s=%q: %v, the pid then is %q", envWatchdog, x.usec, envWatchdogPID, x.pid, got, os.Getenv(envWatchdogPID))
		}
	}
	t.Setenv(envWatchdogPID, own)
	c := successorCommand{path: "true"}
	if slices.ContainsFunc(c.new().Env, func(v string) bool { return strings.HasPrefix(v, envWatchdogPID) }) {
		t.Error("a successor inherits our WATCHDOG_PID")
	}
}

func TestNilNotifier(t *testing.T) {
	var n *notifier
	n.startedBy(true)
	n.upgrading()
	n.started(1)
	n.upgradeFailed(errors.New("no"))
	n.drain("")
	if n.handedOverTo(1) {
		t.Error("handed over")
	}
	n.close()
}
