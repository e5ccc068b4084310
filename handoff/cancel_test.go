package handoff_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// serving opens a generation in this process, which answers with its number on
// addr. It is not Ready yet.
func serving(t *testing.T, cfg handoff.Config, addr string) (*handoff.Generation, string) {
	t.Helper()
	g := openGeneration(t, cfg)
	ln, err := g.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, g.Number()) }))
	return g, ln.Addr().String()
}

func awaitOwnState(t *testing.T, g *handoff.Generation, state string) {
	t.Helper()
	eventually(t, fmt.Sprintf("generation %d is %s", g.Number(), state), func() bool { return g.Status().State == state })
}

// answeredBy fails the test unless new connections are answered by that
// generation.
func answeredBy(t *testing.T, addr string, generation int) {
	t.Helper()
	for range 20 {
		if got, err := askOnce(addr); err != nil || got != generation {
			t.Fatalf("answered by generation %d, %v; want generation %d", got, err, generation)
		}
	}
}

// Whenever Ready's context ends, one of the two serves, and Ready says which.
func TestReadyCancelled(t *testing.T) {
	all := []handoff.Share{{Share: 10000}}
	for _, x := range []struct {
		name, step string
		plan       []handoff.Share
		state      string // of the successor, "" if it must not take over
	}{
		{"before", "", nil, ""},
		{"before it shares", "", all, ""},
		{"while it steers", "dark/steer before", nil, "leading"},
		{"when it has said so", "dark/send-retire after", nil, "leading"},
		{"while it shares", "dark/share before", all, "sharing"},
	} {
		t.Run(x.name, func(t *testing.T) {
			cfg := handoff.Config{Dir: newService(t).Dir}
			first, addr := serving(t, cfg, "127.0.0.1:0")
			if err := first.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg.Plan = x.plan
			cfg.OnStep(func(_ *handoff.Generation, step string) {
				if step == x.step {
					cancel()
				}
			})
			second, _ := serving(t, cfg, addr)
			if x.step == "" {
				cancel()
			}
			err := second.Ready(ctx)
			if x.state != "" {
				if err != nil {
					t.Errorf("Ready failed when it had taken over: %v", err)
				}
				awaitOwnState(t, second, x.state)
				answeredBy(t, addr, 2)
				return
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Ready returned %v", err)
			}
			eventually(t, "the successor has given up", func() bool { return second.Status().State == "draining" })
			awaitOwnState(t, first, "leading")
			answeredBy(t, addr, 1)
		})
	}
}

// A cancelled upgrade kills its successor, whatever an earlier one received.
func TestUpgradeCancelledAfterARollback(t *testing.T) {
	cfg := handoff.Config{Dir: newService(t).Dir, Command: []string{"sleep", "600"}}
	first, addr := serving(t, cfg, "127.0.0.1:0")
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.Plan = []handoff.Share{{Share: 5000}}
	second, _ := serving(t, cfg, addr)
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the successor has its share", func() bool { return first.Status().Share == 5000 })
	if err := operator(t, cfg.Dir).Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-second.Superseded()
	second.Close()
	awaitOwnState(t, first, "leading")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var pid int
	err := first.UpgradeWith(ctx, &handoff.UpgradeOptions{Progress: func(p handoff.Progress) {
		if p.Event == "started" {
			pid = p.PID
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the upgrade ended with %v", err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	eventually(t, "the successor is killed", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

// A successor that leads is not killed when its upgrade is cancelled: it gives
// back, and answers those whom it let in.
func TestUpgradeCancelledInProbation(t *testing.T) {
	c := newService(t)
	output := filepath.Join(c.Dir, "output")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	first, addr := serving(t, handoff.Config{Dir: c.Dir, Command: []string{"sh", "-c", `exec "$0" >"$1" 2>&1`, exe, output}}, "127.0.0.1:0")
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Addrs = []string{addr}
	t.Setenv(serviceEnv, strings.TrimPrefix(c.env(), serviceEnv+"="))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	leads := make(chan int, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- first.UpgradeWith(ctx, &handoff.UpgradeOptions{Probation: handoff.Duration(time.Hour), Progress: func(p handoff.Progress) {
			if p.Event == "leading" {
				leads <- p.PID
			}
		}})
	}()
	var pid int
	select {
	case pid = <-leads:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusContinue {
		t.Fatalf("%v, %v", resp, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the upgrade ended with %v", err)
	}
	eventually(t, "the successor drains, or is dead", func() bool {
		st, err := statusOf(c.Dir, "gen-2.sock")
		return err != nil || st.State == "draining"
	})
	awaitOwnState(t, first, "leading")
	answeredBy(t, addr, 1)

	io.WriteString(conn, "body")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("the connection that the successor had accepted: %v", err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), "2 ") {
		t.Errorf("answered %q, %v", body, err)
	}
	eventually(t, "the successor is gone", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	if b, _ := os.ReadFile(output); !strings.Contains(string(b), "ended generation=2 error=<nil>") {
		t.Errorf("it did not end by itself:\n%s", b)
	}
}
