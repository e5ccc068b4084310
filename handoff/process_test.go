package handoff_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"context"

	"github.com/graceport/graceport/handoff"
)

// patience bounds every wait of a test; a test that needs it has failed.
const patience = 30 * time.Second

// process is a generation, or several: successors that it starts share its
// output.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	ended chan struct{}
}

func start(t *testing.T, c serviceConfig) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startAs(t, exe, c)
}

func startAs(t *testing.T, exe string, c serviceConfig) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(exe), lines: make(chan string, 1000), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), c.env())
	p.cmd.WaitDelay = patience
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	er, ew, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, ew
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	ew.Close()
	var readers sync.WaitGroup
	readers.Go(func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			p.log(s.Text())
			p.lines <- s.Text()
		}
		close(p.lines)
		r.Close()
	})
	readers.Go(func() {
		for s := bufio.NewScanner(er); s.Scan(); {
			p.log(s.Text())
		}
		er.Close()
	})
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		for _, pid := range livingGenerations(c.Dir) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		<-p.ended
		readers.Wait()
	})
	return p
}

func (p *process) log(line string) {
	if testing.Verbose() {
		p.t.Logf("%d: %s", p.cmd.Process.Pid, line)
	}
}

// expect waits for a line with that prefix.
func (p *process) expect(prefix string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("process %d ended without printing %q", p.cmd.Process.Pid, prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-timeout:
			p.t.Fatalf("process %d did not print %q within %v", p.cmd.Process.Pid, prefix, patience)
		}
	}
}

// ready waits until the process, or a successor that it started, leads.
func (p *process) ready() announcement {
	p.t.Helper()
	line := p.expect("ready ")
	var a announcement
	var addrs string
	if _, err := fmt.Sscanf(line, "ready generation=%d pid=%d addrs=%s", &a.generation, &a.pid, &addrs); err != nil {
		p.t.Fatalf("%q: %v", line, err)
	}
	a.addrs = strings.Split(addrs, ",")
	return a
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the end and returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("process %d did not end within %v", p.cmd.Process.Pid, patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// controlClient speaks to one control socket.
func controlClient(path string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
}

func statusOf(dir string, name string) (handoff.Status, error) {
	var st handoff.Status
	c := controlClient(filepath.Join(dir, name))
	c.Timeout = time.Second
	resp, err := c.Get("http://graceport/v1/status")
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

// livingGenerations are the pids of those whose socket answers.
func livingGenerations(dir string) []int {
	var pids []int
	sockets, _ := filepath.Glob(filepath.Join(dir, "gen-*.sock"))
	for _, s := range sockets {
		if st, err := statusOf(dir, filepath.Base(s)); err == nil && st.PID > 0 {
			pids = append(pids, st.PID)
		}
	}
	return pids
}

// eventually waits until ok, looking often.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
}

// leads waits until that generation leads and no takeover is under way.
func leads(t *testing.T, dir string, generation int) handoff.Status {
	t.Helper()
	var st handoff.Status
	eventually(t, fmt.Sprintf("generation %d leads", generation), func() bool {
		var err error
		st, err = statusOf(dir, "leader")
		return err == nil && st.Generation == generation && st.State == "leading"
	})
	return st
}
