package handoff_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

func operator(t *testing.T, dir string) *handoff.Service {
	t.Helper()
	s, err := handoff.NewService(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// receives makes n connections, several at a time, and fails the test unless
// generation 2 gets share/10000 of them within sampling error.
func receives(t *testing.T, addr string, n, share int) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	served := map[int]int{}
	const workers = 8
	for range workers {
		wg.Go(func() {
			mine := map[int]int{}
			for range n / workers {
				generation, err := askOnce(addr)
				if err != nil {
					t.Error(err)
					return
				}
				mine[generation]++
			}
			mu.Lock()
			defer mu.Unlock()
			for generation, times := range mine {
				served[generation] += times
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	d := float64(served[2]) - float64(n)*float64(share)/10000
	if share == 0 || share == 10000 {
		if d != 0 {
			t.Errorf("share %d/10000: served by generation %v", share, served)
		}
		return
	}
	p := float64(share) / 10000
	// The quantile of chi-square with 1 degree of freedom at 1 - 1e-9.
	if chi := d * d / (float64(n) * p * (1 - p)); chi > 37.3 {
		t.Errorf("share %d/10000: served by generation %v, chi-square is %.1f", share, served, chi)
	}
}

// askOnce makes one request on a connection of its own, which leaves no
// TIME_WAIT behind. It reads the answer by hand, for there are many.
func askOnce(addr string) (generation int, err error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		return 0, err
	}
	answer := make([]byte, 0, 1024)
	var body string
	for found := false; !found || !strings.HasSuffix(body, "\n"); _, body, found = strings.Cut(string(answer), "\r\n\r\n") {
		n, err := conn.Read(answer[len(answer):cap(answer)])
		if err != nil {
			return 0, err
		}
		answer = answer[:len(answer)+n]
	}
	conn.(*net.TCPConn).SetLinger(0)
	_, err = fmt.Sscan(body, &generation)
	return generation, err
}

func TestShareHolds(t *testing.T) {
	c := newService(t)
	a := start(t, c).ready()
	c.Addrs, c.Plan = a.addrs, []handoff.Share{{Share: 2500}}
	start(t, c).ready()
	receives(t, a.addrs[0], 20_000, 2500)
	for _, x := range []struct{ n, share int }{{10_000, 7000}, {1000, 0}, {1000, 10000}} {
		if err := operator(t, c.Dir).Share(t.Context(), x.share); err != nil {
			t.Fatal(err)
		}
		receives(t, a.addrs[0], x.n, x.share)
	}
}

// startUpgrade asks the leader for an upgrade. The function that it returns
// waits for the end, and returns the steps that were reported.
func startUpgrade(t *testing.T, dir string, o handoff.UpgradeOptions) func() ([]handoff.Progress, error) {
	t.Helper()
	s := operator(t, dir)
	var steps []handoff.Progress
	o.Progress = func(p handoff.Progress) { steps = append(steps, p) }
	result := make(chan error, 1)
	go func() { result <- s.Upgrade(t.Context(), &o) }()
	return func() ([]handoff.Progress, error) {
		t.Helper()
		select {
		case err := <-result:
			return steps, err
		case <-time.After(patience):
			t.Fatalf("the upgrade did not end within %v", patience)
			return nil, nil
		}
	}
}

func awaitState(t *testing.T, dir string, generation int, state string) {
	t.Helper()
	eventually(t, fmt.Sprintf("generation %d is %s", generation, state), func() bool {
		st, err := statusOf(dir, fmt.Sprintf("gen-%d.sock", generation))
		return err == nil && st.State == state
	})
}

// A takeover that is sharing or in probation can be taken back without a loss.
func TestGivenBack(t *testing.T) {
	rollback := func(t *testing.T, dir string) {
		if err := operator(t, dir).Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
	// The predecessor can be asked as well as the successor.
	refuse := func(t *testing.T, dir string) {
		resp, err := controlClient(filepath.Join(dir, "gen-1.sock")).Post("http://graceport/v1/rollback", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Errorf("rollback: %s", resp.Status)
		}
	}
	unwell := func(t *testing.T, dir string) {
		name := filepath.Join(dir, "unwell")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(name) })
	}
	half := []handoff.Share{{Share: 5000}}
	briefly := []handoff.Share{{Share: 5000, Hold: handoff.Duration(300 * time.Millisecond)}}
	for _, x := range []struct {
		name   string
		plan   []handoff.Share
		state  string
		cause  func(t *testing.T, dir string)
		reason string
	}{
		{"rollback while sharing", half, "sharing", rollback, "rolled back by the operator"},
		{"rollback in probation", briefly, "probation", rollback, "rolled back by the operator"},
		{"refused while sharing", half, "sharing", refuse, "rolled back by the operator"},
		{"refused in probation", briefly, "probation", refuse, "rolled back by the operator"},
		{"unwell while sharing", half, "sharing", unwell, "health check failed: the database does not answer"},
		{"unwell in probation", briefly, "probation", unwell, "health check failed: the database does not answer"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := newService(t)
			c.Behaviour = map[int]string{2: "unwell"}
			first := start(t, c)
			l := startLoad(t, first.ready().addrs...)
			l.servedBy(1, 50)
			upgrade := startUpgrade(t, c.Dir, handoff.UpgradeOptions{Plan: x.plan, Probation: handoff.Duration(time.Minute)})
			b := first.ready()
			awaitState(t, c.Dir, 2, x.state)
			l.servedBy(2, 100)
			x.cause(t, c.Dir)

			steps, err := upgrade()
			if err == nil || !strings.Contains(err.Error(), x.reason) {
				t.Errorf("the upgrade ended with %v, want %q", err, x.reason)
			}
			if last := steps[len(steps)-1]; last.Event != "failed" || !strings.Contains(last.Reason, x.reason) {
				t.Errorf("the last step is %+v, want failed for %q", last, x.reason)
			}
			leads(t, c.Dir, 1)
			l.servedBy(1, 100)
			if line := first.expect("ended "); line != "ended generation=2 error=<nil>" { // and so exit status 0
				t.Error(line)
			}
			eventually(t, "the successor is gone", func() bool { return syscall.Kill(b.pid, 0) == syscall.ESRCH })

			// The next one is not hindered.
			if steps, err := startUpgrade(t, c.Dir, handoff.UpgradeOptions{})(); err != nil {
				t.Errorf("the next upgrade: %v, %+v", err, steps)
			}
			l.servedBy(3, 50)
			leads(t, c.Dir, 3)
			l.endWithoutLoss()
		})
	}
}

func TestUpgradeReportsSharing(t *testing.T) {
	c := newService(t)
	start(t, c).ready()
	ms := handoff.Duration(time.Millisecond)
	steps, err := startUpgrade(t, c.Dir, handoff.UpgradeOptions{Plan: []handoff.Share{{Share: 1, Hold: ms}, {Share: 9999, Hold: ms}}, Probation: ms})()
	if err != nil {
		t.Error(err)
	}
	var events []string
	for _, s := range steps {
		events = append(events, s.Event)
	}
	if got, want := strings.Join(events, " "), "started hello bound sharing leading retire done"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// A successor that dies in probation takes only its own connections with it.
func TestKilledInProbation(t *testing.T) {
	c := newService(t)
	first := start(t, c)
	l := startLoad(t, first.ready().addrs...)
	l.servedBy(1, 50)
	upgrade := startUpgrade(t, c.Dir, handoff.UpgradeOptions{Probation: handoff.Duration(time.Minute)})
	b := first.ready()
	awaitState(t, c.Dir, 2, "probation")
	l.servedBy(2, 100)
	if losses := l.lost(); len(losses) > 0 {
		t.Errorf("lost %d before the crash: %s", len(losses), summary(losses))
	}
	if err := syscall.Kill(b.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the successor is gone", func() bool { return syscall.Kill(b.pid, 0) == syscall.ESRCH })
	gone := time.Now()
	if _, err := upgrade(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("the upgrade ended with %v", err)
	}
	leads(t, c.Dir, 1)
	l.servedBy(1, 100)
	losses := l.end()
	// A client has one at a time, and may begin another while the process dies.
	if len(losses) > 2*loadClients {
		t.Errorf("lost %d: %s", len(losses), summary(losses))
	}
	for _, x := range losses {
		if x.began.After(gone) {
			t.Errorf("lost after %s: %s", gone.Format("05.000"), summary([]loss{x}))
		}
	}
}
