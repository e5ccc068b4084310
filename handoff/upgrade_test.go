package handoff_test

import (
	"bufio"
	"bytes"
	"encoding/json"
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

// requestUpgrade asks the leader for an upgrade and returns the steps that it
// reported.
func requestUpgrade(t *testing.T, dir, body string) (status int, steps []handoff.Progress) {
	t.Helper()
	resp, err := controlClient(filepath.Join(dir, "leader")).Post("http://graceport/v1/upgrade", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		var p handoff.Progress
		if err := json.Unmarshal(s.Bytes(), &p); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		steps = append(steps, p)
	}
	return resp.StatusCode, steps
}

func TestUpgradeThatFails(t *testing.T) {
	for _, x := range []struct {
		name   string
		adapt  func(*serviceConfig)
		reason string
	}{
		{"exits at once", func(c *serviceConfig) { c.Behaviour = map[int]string{2: "exit"} }, "exit status 1"},
		{"hangs before it joins", func(c *serviceConfig) { c.Behaviour = map[int]string{2: "hang"} }, "did not join within"},
		{"hangs before Ready", func(c *serviceConfig) { c.Behaviour = map[int]string{2: "unready"} }, "was not ready within"},
		{"is missing", func(c *serviceConfig) { c.Command = []string{"/nonexistent/service"} }, "no such file or directory"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := newService(t)
			c.Ready = 700 * time.Millisecond
			x.adapt(&c)
			first := start(t, c)
			l := startLoad(t, first.ready().addrs...)
			l.servedBy(1, 50)
			began := time.Now()
			_, steps := requestUpgrade(t, c.Dir, "")
			took := time.Since(began)
			last := steps[len(steps)-1]
			if last.Event != "failed" || !strings.Contains(last.Reason, x.reason) {
				t.Errorf("the upgrade ended with %+v, want a failure for %q", last, x.reason)
			}
			if limit := 2*c.Ready + 3*time.Second; took > limit {
				t.Errorf("the failure took %v, more than %v", took, limit)
			}
			if last.PID != 0 {
				eventually(t, "the failed successor is gone", func() bool { return syscall.Kill(last.PID, 0) == syscall.ESRCH })
			}
			leads(t, c.Dir, 1)
			l.servedBy(1, 50)
			l.endWithoutLoss()
		})
	}
}

// The path that the service was started by counts: its file may be replaced,
// or a symlink in it switched.
func TestUpgradeStartsWhatIsThereNow(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name    string
		replace func(t *testing.T, path, with string)
	}{
		{"file replaced", func(t *testing.T, path, with string) {
			if err := os.Rename(with, path); err != nil {
				t.Fatal(err)
			}
		}},
		{"symlink switched", func(t *testing.T, path, with string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(with, path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newService(t)
			bin := t.TempDir()
			path, next := filepath.Join(bin, "service"), filepath.Join(bin, "next")
			if x.name == "symlink switched" {
				if err := os.Symlink(exe, path); err != nil {
					t.Fatal(err)
				}
			} else {
				copyFile(t, path, exe)
			}
			script := "#!/bin/sh\necho replaced $$\nexec " + exe + "\n"
			if err := os.WriteFile(next, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			first := startAs(t, path, c)
			first.ready()
			x.replace(t, path, next)
			first.signal(syscall.SIGHUP)
			first.expect("replaced ")
			if got := first.ready(); got.generation != 2 {
				t.Errorf("generation %d leads", got.generation)
			}
		})
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestUpgradeReportsProgress(t *testing.T) {
	c := newService(t)
	first := start(t, c)
	first.ready()
	code, steps := requestUpgrade(t, c.Dir, "")
	if code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	var events []string
	for _, s := range steps {
		events = append(events, s.Event)
	}
	want := "started hello bound leading retire done"
	if got := strings.Join(events, " "); got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if got := first.ready(); got.pid != steps[0].PID {
		t.Errorf("the leader has pid %d, the report said %d", got.pid, steps[0].PID)
	}
}

func TestSeveralAddressesAndSockets(t *testing.T) {
	c := newService(t)
	c.Addrs = []string{"127.0.0.1:0", "127.0.0.2:0", "[::1]:0"}
	c.Sockets = map[int]int{1: 4, 2: 2, 3: 4, 4: 1, 5: 3}
	if probe, err := net.Listen("tcp", "[::1]:0"); err != nil {
		c.Addrs = c.Addrs[:2]
	} else {
		probe.Close()
	}
	p := start(t, c)
	a := p.ready()
	l := startLoad(t, a.addrs...)
	l.servedBy(1, 50)
	pid := a.pid
	for generation := 2; generation <= 5; generation++ {
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		pid = p.ready().pid
		l.servedBy(generation, 100)
		st := leads(t, c.Dir, generation)
		if len(st.Listeners) != len(c.Addrs) {
			t.Errorf("%d listeners", len(st.Listeners))
		}
		for _, ls := range st.Listeners {
			if len(ls.Queues) != c.Sockets[generation] {
				t.Errorf("generation %d has %d sockets on %s, want %d", generation, len(ls.Queues), ls.Address, c.Sockets[generation])
			}
		}
	}
	l.endWithoutLoss()
}

// A predecessor that dies leaves its successor's sockets in an order that
// nobody knows. The next takeover must lose nothing all the same.
func TestTakeoverAfterACrashWithSeveralSockets(t *testing.T) {
	c := newService(t)
	c.Sockets = map[int]int{1: 3, 2: 4, 3: 2, 4: 1}
	c.At, c.Do = map[int]string{1: "starved/empty before"}, "kill"
	first := start(t, c)
	a := first.ready()
	c.Addrs = a.addrs
	second := start(t, c)
	second.ready()
	first.wait()
	leads(t, c.Dir, 2)
	l := startLoad(t, a.addrs...)
	l.servedBy(2, 50)
	for generation := 3; generation <= 4; generation++ {
		start(t, c).ready()
		l.servedBy(generation, 100)
		leads(t, c.Dir, generation)
	}
	l.endWithoutLoss()
}

func TestSecondCopy(t *testing.T) {
	c := newService(t)
	first := start(t, c)
	a := first.ready()
	l := startLoad(t, a.addrs...)
	l.servedBy(1, 50)

	other := newService(t)
	other.Addrs = a.addrs
	stranger := start(t, other)
	if code := stranger.wait(); code != 1 {
		t.Errorf("with another directory and the same port its exit status is %d, want 1", code)
	}
	l.servedBy(1, 50)
	if st := leads(t, c.Dir, 1); st.PID != a.pid {
		t.Errorf("pid %d leads", st.PID)
	}

	c.Addrs = a.addrs
	start(t, c).ready()
	l.servedBy(2, 50)
	l.endWithoutLoss()
}

// The refusal names the process that is in the way.
func TestStrangerIsNamed(t *testing.T) {
	c := newService(t)
	a := start(t, c).ready()
	g, err := handoff.Open(t.Context(), handoff.Config{Dir: newService(t).Dir})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	_, err = g.Listen(t.Context(), "tcp", a.addrs[0])
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", a.pid)) {
		t.Errorf("%v, want process %d named", err, a.pid)
	}
}

func TestControlRefusesNonsense(t *testing.T) {
	c := newService(t)
	start(t, c).ready()
	client := controlClient(filepath.Join(c.Dir, "leader"))
	for _, x := range []struct {
		path, body string
		want       int
	}{
		{"upgrade", `{"plan":[{"share":20000}]}`, http.StatusConflict},
		{"upgrade", `{"probation":"-1s"}`, http.StatusConflict},
		{"upgrade", `not JSON`, http.StatusBadRequest},
		{"upgrade", `{"plan":"` + strings.Repeat("x", 1<<17) + `"}`, http.StatusBadRequest},
		{"share", `{"share":-1}`, http.StatusBadRequest},
		{"share", `{"share":100}`, http.StatusConflict},
		{"rollback", ``, http.StatusConflict},
		{"takeover", ``, http.StatusUpgradeRequired},
		{"nothing", ``, http.StatusNotFound},
	} {
		resp, err := client.Post("http://graceport/v1/"+x.path, "application/json", bytes.NewBufferString(x.body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != x.want {
			t.Errorf("POST %s %.40s: status %d, want %d: %s", x.path, x.body, resp.StatusCode, x.want, text)
		}
	}
	leads(t, c.Dir, 1)
}

// Whoever sees the successor serve may ask it for the next upgrade, although
// its own predecessor is still closing its sockets.
func TestUpgradeRightAfterUpgrade(t *testing.T) {
	c := newService(t)
	c.Behaviour = map[int]string{1: "deaf"}
	first := start(t, c)
	a := first.ready()
	client, err := net.Dial("tcp", a.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	first.signal(syscall.SIGHUP)
	b := first.ready()
	if st, err := statusOf(c.Dir, "gen-2.sock"); err != nil || st.State != "taking" {
		t.Fatalf("generation 2 is %s, %v; want it to wait for a predecessor with a full queue", st.State, err)
	}
	if err := syscall.Kill(b.pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if got := first.ready(); got.generation != 3 {
		t.Errorf("generation %d leads", got.generation)
	}
}

// A leader that is stopped keeps no deadline, so whoever asked for the upgrade
// does.
func TestUpgradeByALeaderThatIsStopped(t *testing.T) {
	c := newService(t)
	first := start(t, c)
	first.ready()
	service, err := handoff.NewService(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	service.Timeout = 100 * time.Millisecond
	hour := handoff.Duration(time.Hour)
	err = service.Upgrade(t.Context(), &handoff.UpgradeOptions{
		Plan: []handoff.Share{{Share: 100, Hold: hour}},
		Progress: func(p handoff.Progress) {
			if p.Event == "sharing" {
				first.signal(syscall.SIGSTOP)
			}
		},
	})
	first.signal(syscall.SIGCONT)
	if !errors.Is(err, handoff.ErrUpgradeFailed) || !strings.Contains(err.Error(), "generation 1 does not answer any more") {
		t.Errorf("%v", err)
	}
}
