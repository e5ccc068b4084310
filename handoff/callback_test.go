package handoff_test

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// What the application is asked, or told, may ask the generation in turn.
func TestCallbacksMayAsk(t *testing.T) {
	var g atomic.Pointer[handoff.Generation]
	asked := make(chan string, 100)
	ask := func(by string) {
		g.Load().Status()
		asked <- by
	}
	cfg := handoff.Config{Dir: newService(t).Dir, Command: []string{"sleep", "600"}}
	offering := cfg
	offering.State = func() map[string][]byte { ask("State"); return map[string][]byte{"a": {1}} }
	offering.Files = func() map[string]syscall.Conn { ask("Files"); return nil }
	g.Store(openGeneration(t, offering))
	if err := g.Load().Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var pid atomic.Int64
	t.Cleanup(func() { syscall.Kill(int(pid.Load()), syscall.SIGKILL) })
	started := make(chan struct{})
	upgraded := make(chan error, 1)
	go func() {
		upgraded <- g.Load().UpgradeWith(t.Context(), &handoff.UpgradeOptions{Progress: func(p handoff.Progress) {
			ask(p.Event)
			if p.Event == "started" {
				pid.Store(int64(p.PID))
				close(started)
			}
		}})
	}()
	<-started
	// Whoever comes is the successor, here one in this process.
	next := openGeneration(t, cfg)
	if state := next.State(); len(state["a"]) != 1 {
		t.Errorf("the state is %v", state)
	}
	if err := next.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitOwnState(t, next, "leading")
	select {
	case err := <-upgraded:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the upgrade does not end")
	}
	close(asked)
	by := map[string]bool{}
	for name := range asked {
		by[name] = true
	}
	for _, name := range []string{"State", "Files", "started", "hello", "leading", "retire", "done"} {
		if !by[name] {
			t.Errorf("%s did not ask: %v", name, by)
		}
	}
}
