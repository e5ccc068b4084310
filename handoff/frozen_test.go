package handoff_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// Tests of the current code against the frozen copy. These may change.

var frozenScenarios = []struct {
	name      string
	addresses int
	sockets   map[int]int // by generation
	plan      []frozenShare
	probation string
}{
	{name: "one socket", addresses: 1},
	{name: "several sockets", addresses: 2, sockets: map[int]int{1: 3, 2: 2, 3: 3}},
	{name: "share and probation", addresses: 1, sockets: map[int]int{1: 2, 2: 2},
		plan: []frozenShare{{2000, "60ms"}, {5000, "60ms"}}, probation: "100ms"},
}

// toHost says how the next successors are answered: refused, if the first has a
// type, or welcome.
func (f *frozenGeneration) toHost(refusal, welcome frozenMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusal, f.welcome = refusal, welcome
}

// wasHosted waits for the end of a takeover by a successor of f.
func (f *frozenGeneration) wasHosted(t *testing.T) error {
	t.Helper()
	select {
	case err := <-f.hosted:
		return err
	case <-time.After(patience):
		t.Fatalf("generation %d: no takeover ended within %v", f.number, patience)
		return nil
	}
}

// startBeside starts the current code where f takes part. The end of a process
// kills whoever answers in its directory; f, which is ourselves, must be gone.
func startBeside(t *testing.T, f *frozenGeneration, c serviceConfig) *process {
	p := start(t, c)
	t.Cleanup(f.close)
	return p
}

// The current code is replaced by version 1, and replaces it again.
func TestFrozenSuccessor(t *testing.T) {
	for _, x := range frozenScenarios {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := newService(t)
			c.Addrs = slices.Repeat(c.Addrs, x.addresses)
			c.Sockets = x.sockets
			first := start(t, c)
			a := first.ready()
			l := startLoad(t, a.addrs...)
			l.servedBy(1, 50)
			f := frozenOpen(t, c.Dir)
			f.toHost(frozenMessage{}, frozenMessage{Plan: x.plan, Probation: x.probation})
			if err := f.takeOver(max(x.sockets[2], 1), x.plan, x.probation); err != nil {
				t.Fatal(err)
			}
			l.servedBy(2, 50)
			if code := first.wait(); code != 0 {
				t.Errorf("the predecessor's exit status is %d", code)
			}
			startBeside(t, f, c).ready()
			l.servedBy(3, 50)
			leads(t, c.Dir, 3)
			if err := f.wasHosted(t); err != nil {
				t.Errorf("version 1 as the predecessor: %v", err)
			}
			l.endWithoutLoss()
			if left, _ := filepath.Glob(filepath.Join(c.Dir, "gen-*.sock")); len(left) != 1 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

func TestFrozenPredecessor(t *testing.T) {
	for _, x := range frozenScenarios {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := newService(t)
			c.Addrs = slices.Repeat(c.Addrs, x.addresses)
			c.Sockets = x.sockets
			f := frozenFirst(t, c.Dir, x.addresses, max(x.sockets[1], 1))
			f.toHost(frozenMessage{}, frozenMessage{Plan: x.plan, Probation: x.probation})
			l := startLoad(t, f.addrs()...)
			l.servedBy(1, 50)
			a := startBeside(t, f, c).ready()
			if !slices.Equal(a.addrs, f.addrs()) {
				t.Errorf("the successor listens on %v, not on %v", a.addrs, f.addrs())
			}
			l.servedBy(2, 50)
			if err := f.wasHosted(t); err != nil {
				t.Error(err)
			}
			leads(t, c.Dir, 2)
			l.endWithoutLoss()
		})
	}
}

// A predecessor that no longer knows version 1 says so, and serves on.
func TestRefusedByProtocol2(t *testing.T) {
	c := newService(t)
	f := frozenFirst(t, c.Dir, 1, 1)
	l := startLoad(t, f.addrs()...)
	l.servedBy(1, 50)
	f.toHost(frozenMessage{Type: "refused", Protocols: []int{2}, Reason: "protocol version 1 is not known here, version 2 is"}, frozenMessage{})
	g, err := handoff.Open(t.Context(), handoff.Config{Dir: c.Dir})
	if err == nil {
		g.Close()
		t.Fatal("joined a predecessor of another protocol")
	}
	if !errors.Is(err, handoff.ErrRefused) || !strings.Contains(err.Error(), "version 1 is not known here, version 2 is") {
		t.Errorf("%v", err)
	}
	f.wasHosted(t)
	if code := startBeside(t, f, c).wait(); code == 0 {
		t.Error("a refused service ends with status 0")
	}
	f.wasHosted(t)
	if leader, _ := os.Readlink(f.path("leader")); leader != f.name() {
		t.Errorf("%q leads", leader)
	}
	l.servedBy(1, 50)

	// It refuses no longer, and one that leaves before Ready disturbs nothing.
	state := map[string][]byte{"a": {0, 1, 255}, "b": nil}
	f.toHost(frozenMessage{}, frozenMessage{State: state})
	g, err = handoff.Open(t.Context(), handoff.Config{Dir: c.Dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := g.State(); len(got) != 2 || string(got["a"]) != string(state["a"]) {
		t.Errorf("the state is %v", got)
	}
	g.Close()
	if err := f.wasHosted(t); !errors.Is(err, io.EOF) {
		t.Errorf("the conversation ended with %v", err)
	}
	third := startBeside(t, f, c).ready()
	l.servedBy(third.generation, 50)
	if err := f.wasHosted(t); err != nil {
		t.Error(err)
	}
	l.endWithoutLoss()
}
