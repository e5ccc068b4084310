package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
	"github.com/graceport/graceport/handoff/sdnotify"
)

// supervisor stands in for systemd with one unit of Type=notify and
// NotifyAccess=main. It follows service_notify_message and service_enter_running
// in systemd 252, src/core/service.c: messages of others than the main process
// are dropped, MAINPID must be a living process, READY=1 ends a start, and a
// reload once its command has ended.
type supervisor struct {
	t      *testing.T
	socket *sdnotify.Socket
	mark   *sdnotify.Notifier
	dir    string // the control directory
	exe    string
	env    []string
	lines  chan string // of the service's output

	mu      sync.Mutex
	state   string // start, running, reload, dead
	main    int
	former  []int    // that have been the main process
	control bool     // the reload command runs
	notify  string   // the last of READY and RELOADING
	said    []string // datagrams, in order, without pings and what differs each time
	dropped []string // of those that are not the main process
	pings   map[int]int
}

// ordinaryUser is what services run as: ourselves, or nobody if we are root.
func ordinaryUser() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// newSupervisor makes one whose service has that control directory.
func newSupervisor(t *testing.T, dir string, env ...string) *supervisor {
	t.Helper()
	place := filepath.Dir(dir)
	err := os.Chmod(bin, 0o755) // that user runs graceport too
	if err == nil && os.Geteuid() == 0 {
		err = os.Chown(place, 65534, 65534)
	}
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(place, fmt.Sprintf("notify-%d", time.Now().UnixNano()))
	s := &supervisor{t: t, dir: dir, exe: filepath.Join(place, "hello"), state: "dead", pings: map[int]int{}, lines: make(chan string, 100)}
	s.env = append(os.Environ(), append(env, sdnotify.EnvSocket+"="+name)...)
	if s.socket, err = sdnotify.Listen(name); err == nil {
		err = os.Chmod(name, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(sdnotify.EnvSocket, name)
	if s.mark, err = sdnotify.New(); err != nil {
		t.Fatal(err)
	}
	os.Unsetenv(sdnotify.EnvSocket)
	install(t, "hello", s.exe)
	received := make(chan struct{})
	go func() {
		defer close(received)
		for {
			m, err := s.socket.Receive()
			if err != nil {
				return
			}
			s.take(m)
		}
	}()
	t.Cleanup(func() {
		killAll(dir)
		s.socket.Close()
		<-received
		s.mark.Close()
	})
	return s
}

// isAlive reports whether a process runs; one that nobody has waited for is
// dead.
func isAlive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	return fields[0] != "Z" && fields[0] != "X"
}

var changing = regexp.MustCompile(`(MONOTONIC_USEC|MAINPID|pid)([= ])\d+`)

// exitStatus of a failed successor is told if it ended in time.
const exitStatus = " (exit status 0)"

func (s *supervisor) take(m sdnotify.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.PID == os.Getpid() {
		s.checkMain()
		return
	}
	if m.Fields[0] == "WATCHDOG=1" && m.PID == s.main {
		s.pings[m.PID]++
		return
	}
	text := strings.Replace(strings.Join(m.Fields, " "), exitStatus, "", 1)
	text = changing.ReplaceAllString(text, "$1")
	if m.PID != s.main {
		s.dropped = append(s.dropped, text)
		return
	}
	s.said = append(s.said, text)
	if v, ok := m.Value("MAINPID"); ok {
		var pid int
		if fmt.Sscan(v, &pid); s.state == "dead" || !isAlive(pid) {
			s.t.Errorf("MAINPID=%s in state %s is no living process", v, s.state)
			return
		}
		s.former = append(s.former, s.main)
		s.main = pid
	}
	for _, f := range m.Fields {
		switch f {
		case "READY=1":
			if s.notify = f; s.state == "start" || s.state == "reload" && !s.control {
				s.state = "running"
			}
		case "RELOADING=1":
			if s.notify = f; s.state == "running" {
				s.state = "reload"
			}
		case "STOPPING=1":
			s.t.Errorf("STOPPING=1 was sent")
		}
	}
}

// start is ExecStart.
func (s *supervisor) start(args ...string) (url string, pid int) {
	s.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	// Only the process itself knows its pid before it runs.
	cmd := exec.Command("sh", append([]string{"-c", `WATCHDOG_PID=$$ exec "$0" "$@"`, s.exe, "-dir", s.dir}, args...)...)
	cmd.Env, cmd.Stdout, cmd.SysProcAttr = s.env, w, ordinaryUser()
	if testing.Verbose() {
		cmd.Stderr = os.Stderr
	}
	s.mu.Lock()
	err = cmd.Start()
	if err == nil {
		s.state, s.main = "start", cmd.Process.Pid
	}
	s.mu.Unlock()
	w.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			s.lines <- lines.Text()
		}
		r.Close()
	}()
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	return s.ready()
}

// ready waits for the line of the generation that serves next.
func (s *supervisor) ready() (url string, pid int) {
	s.t.Helper()
	var generation int
	select {
	case line := <-s.lines:
		if _, err := fmt.Sscanf(line, "ready %s pid=%d generation=%d", &url, &pid, &generation); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
	case <-time.After(patience):
		s.t.Fatalf("no ready line within %v", patience)
	}
	return url, pid
}

// reload is ExecReload, run as the service's user. It returns the end of the
// command: the unit may be reloading longer.
func (s *supervisor) reload(args ...string) (stderr string, status int) {
	s.t.Helper()
	s.mu.Lock()
	s.state, s.control = "reload", true
	s.mu.Unlock()
	stderr, status = s.graceport(append([]string{"upgrade"}, args...)...)
	s.mark.Notify("CHECK=1")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control = false; s.state == "reload" && s.notify == "READY=1" {
		s.state = "running"
	}
	return stderr, status
}

func (s *supervisor) graceport(args ...string) (stderr string, status int) {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "graceport"), append(args, s.dir)...)
	cmd.SysProcAttr = ordinaryUser()
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return errs.String(), cmd.ProcessState.ExitCode()
}

// expect waits until that was said since the last call, and nothing else, and
// that nobody but the main process has spoken.
func (s *supervisor) expect(want ...string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("as many datagrams as %q", want), func() bool { return len(s.said) >= len(want) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.said, want) {
		s.t.Errorf("it was said\n%s\nwant\n%s", strings.Join(s.said, "\n"), strings.Join(want, "\n"))
	}
	if len(s.dropped) > 0 {
		s.t.Errorf("others than the main process said %q", s.dropped)
	}
	s.said = nil
}

func (s *supervisor) mainPID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.main
}

// checkMain ends the unit when its main process has ended, and with it those that
// were it before.
func (s *supervisor) checkMain() {
	if s.state != "dead" && !isAlive(s.main) {
		s.state = "dead"
		for _, pid := range s.former {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// killAll ends every generation that lives there.
func killAll(dir string) {
	service, err := handoff.NewService(dir)
	if err != nil {
		return
	}
	all, _ := service.Status(context.Background()) // an error: none lives
	for _, st := range all {
		if st.PID > 0 { // 0, of one that is dying, would be our own process group
			syscall.Kill(st.PID, syscall.SIGKILL)
		}
	}
}

// eventually waits for the unit, which hears all messages before it sees an
// end, as systemd does.
func (s *supervisor) eventually(what string, ok func() bool) {
	s.t.Helper()
	eventually(s.t, what, func() bool {
		s.mark.Notify("CHECK=1") // if it is full, later
		s.mu.Lock()
		defer s.mu.Unlock()
		return ok()
	})
}

func (s *supervisor) is(state string) {
	s.t.Helper()
	s.eventually("the unit is "+state, func() bool { return s.state == state })
}
