package integration

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bin holds the commands, built once for all tests.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "graceport"); err == nil {
			defer os.RemoveAll(bin)
			var out []byte
			if out, err = exec.Command("go", "build", "-o", bin+"/", "../cmd/...").CombinedOutput(); err != nil {
				err = fmt.Errorf("%w\n%s", err, out)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "build the commands:", err)
			return 1
		}
		return m.Run()
	}())
}

const patience = 30 * time.Second

// controlDir is a path for a control directory, short enough for a socket.
func controlDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "graceport")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "d")
}

// run runs a command to its end and returns its exit status.
func run(t *testing.T, name string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// server is a command that prints ready lines, and successors that it starts.
type server struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	ended chan struct{}
}

func serve(t *testing.T, name string, args ...string) *server {
	t.Helper()
	s := &server{t: t, cmd: exec.Command(filepath.Join(bin, name), args...), lines: make(chan string, 100), ended: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = w, os.Stderr
	if !testing.Verbose() {
		s.cmd.Stderr = nil
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			s.lines <- lines.Text()
		}
		r.Close()
	}()
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-s.ended
	})
	return s
}

// ready waits for the next ready line.
func (s *server) ready() (url string, pid, generation int) {
	s.t.Helper()
	select {
	case line := <-s.lines:
		if _, err := fmt.Sscanf(line, "ready %s pid=%d generation=%d", &url, &pid, &generation); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
	case <-time.After(patience):
		s.t.Fatalf("no ready line within %v", patience)
	}
	return url, pid, generation
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) wait() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatalf("process %d did not end within %v", s.cmd.Process.Pid, patience)
	}
	return s.cmd.ProcessState.ExitCode()
}

// get fetches over a connection of its own.
func get(url string) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

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

// install puts a command at a path, as a deployment does: by rename.
func install(t *testing.T, name, path string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(bin, name))
	if err == nil {
		err = os.WriteFile(path+".new", b, 0o755)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}
