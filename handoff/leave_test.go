package handoff_test

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// A successor that had not joined when its predecessor was told to stop will
// serve alone. No deadline of the upgrade may end it.
func TestStopBeforeTheSuccessorJoins(t *testing.T) {
	g := openGeneration(t, handoff.Config{Dir: newService(t).Dir, Command: []string{"sleep", "600"}, ReadyTimeout: 300 * time.Millisecond})
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var pid int
	err := g.UpgradeWith(t.Context(), &handoff.UpgradeOptions{Progress: func(p handoff.Progress) {
		if p.Event == "started" {
			pid = p.PID
			g.Stop()
		}
	}})
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	if !errors.Is(err, handoff.ErrUpgradeFailed) || !errors.Is(err, handoff.ErrStopped) {
		t.Errorf("the upgrade ended with %v", err)
	}
	<-time.After(500 * time.Millisecond) // longer than ReadyTimeout, and than a kill takes
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the successor: %v", err)
	}
	if counted := g.Metrics().Takeovers; counted["timed_out"] > 0 || counted["died"] > 0 {
		t.Errorf("counted as failed: %v", counted)
	}
}

// A successor that warms up hears that its predecessor is to stop: a share that
// it was to hold for ever, or a probation, would keep that from ending.
func TestStopWhileTheSuccessorWarmsUp(t *testing.T) {
	cfg := handoff.Config{Dir: newService(t).Dir}
	first, addr := serving(t, cfg, "127.0.0.1:0")
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.Plan, cfg.Probation = []handoff.Share{{Share: 5000}}, time.Hour
	told := make(logged, 100)
	cfg.Logger = slog.New(slog.NewTextHandler(told, nil))
	second, _ := serving(t, cfg, addr)
	first.Stop()
	told.await(t, "the predecessor was told to stop")
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitSuperseded(t, first)
	awaitOwnState(t, second, "leading")
}

// logged is the lines of a log.
type logged chan string

func (l logged) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default: // nobody waits any more
	}
	return len(b), nil
}

func (l logged) await(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return
			}
		case <-timeout:
			t.Fatalf("not logged within %v: %s", patience, text)
		}
	}
}

// Whoever was told to stop before Ready was not refused by anybody.
func TestReadyAfterStop(t *testing.T) {
	for _, predecessor := range []bool{false, true} {
		cfg := handoff.Config{Dir: newService(t).Dir}
		if predecessor {
			if err := openGeneration(t, cfg).Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		g := openGeneration(t, cfg)
		g.Stop()
		<-g.Superseded()
		_, listening := g.Listen(t.Context(), "tcp", "127.0.0.1:0")
		for _, err := range []error{g.Ready(t.Context()), g.Err(), listening} {
			if !errors.Is(err, handoff.ErrStopped) || errors.Is(err, handoff.ErrRefused) {
				t.Errorf("with a predecessor %v: %v", predecessor, err)
			}
		}
	}
}
