package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running is a graceport run, with what it says.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	said  chan string
	all   []string
	ended chan struct{}
}

func startRun(t *testing.T, args ...string) *running {
	t.Helper()
	return startCommand(t, exec.Command(filepath.Join(bin, "graceport"), append([]string{"run"}, args...)...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{t: t, cmd: cmd, said: make(chan string, 10000), ended: make(chan struct{})}
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = pw, pw
	err = cmd.Start()
	pw.Close()
	if err != nil {
		pr.Close()
		t.Fatal(err)
	}
	go func() {
		defer pr.Close()
		for lines := bufio.NewScanner(pr); lines.Scan(); {
			r.said <- lines.Text()
		}
		close(r.said)
	}()
	go func() {
		cmd.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-r.ended: // with all that it ran
		default:
			all := descendants(cmd.Process.Pid)
			for _, pid := range append(all, cmd.Process.Pid) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			<-r.ended
		}
		for line := range r.said {
			r.all = append(r.all, line)
		}
		if t.Failed() {
			t.Logf("it said:\n%s", strings.Join(r.all, "\n"))
		}
	})
	return r
}

// says waits for a line with all the parts and returns it.
func (r *running) says(parts ...string) string {
	r.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
next:
	for {
		select {
		case line, ok := <-r.said:
			if !ok {
				r.t.Fatalf("it ended without saying %q", parts)
			}
			r.all = append(r.all, line)
			for _, p := range parts {
				if !strings.Contains(line, p) {
					continue next
				}
			}
			return line
		case <-timeout.C:
			r.t.Fatalf("not said within %v: %q", patience, parts)
		}
	}
}

func (r *running) signal(sig os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) wait() int {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.t.Fatalf("it did not end within %v", patience)
	}
	return r.cmd.ProcessState.ExitCode()
}

func (r *running) restart() {
	r.t.Helper()
	r.signal(syscall.SIGHUP)
	r.says("msg=restarted")
}

// descendants of a process, from /proc.
func descendants(root int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		if pid, parent, _ := statOf(name); pid > 0 {
			children[parent] = append(children[parent], pid)
		}
	}
	all := append([]int(nil), children[root]...)
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

func statOf(name string) (pid, parent int, state string) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, ""
	}
	s := string(b)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(name)))
	parent, _ = strconv.Atoi(fields[1])
	return pid, parent, fields[0]
}

// sockets counts those that a process holds.
func sockets(pid int) int {
	n := 0
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && strings.HasPrefix(link, "socket:") {
			n++
		}
	}
	return n
}
