package integration

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// logged starts hello and waits for lines of its log.
func logged(t *testing.T, args ...string) (cmd *exec.Cmd, wait func(text string) string, ended chan struct{}) {
	t.Helper()
	cmd = exec.Command(filepath.Join(bin, "hello"), args...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := make(chan string, 1000)
	go func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
		r.Close()
	}()
	ended = make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	return cmd, func(text string) string {
		t.Helper()
		timeout := time.After(patience)
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					t.Fatalf("it ended without saying %q", text)
				}
				if strings.Contains(line, text) {
					return line
				}
			case <-timeout:
				t.Fatalf("it did not say %q within %v", text, patience)
			}
		}
	}, ended
}

// A container that is restarted when its process ends would bring the old build
// back: with Linger the process stays, without a socket, until it is told to
// stop.
func TestLinger(t *testing.T) {
	dir := controlDir(t)
	first, wait, ended := logged(t, "-linger", "-addr", "127.0.0.1:0", "-dir", dir)
	line := wait("ready http")
	u, err := url.Parse(strings.Fields(line)[1])
	if err != nil {
		t.Fatal(err)
	}
	second := serve(t, "hello", "-linger", "-addr", u.Host, "-dir", dir)
	_, pid, generation := second.ready()
	wait("drained, staying")
	all := status(t, dir)
	if len(all) != 1 || all[0].PID != pid || generation != 2 {
		t.Errorf("status: %+v", all)
	}
	if got := answers(t, u.String(), 20); got[helloFrom(pid)] != 20 {
		t.Errorf("answers %v", got)
	}
	first.Process.Signal(syscall.SIGHUP) // nothing is left to upgrade
	wait("does not lead")
	select {
	case <-ended:
		t.Error("it has ended")
	default:
	}
	first.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("TERM did not end it within %v", patience)
	}
	if code := first.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}

	// One that is told to stop has nothing to wait for.
	if _, errs, code := run(t, "graceport", "stop", dir); code != 0 {
		t.Error(errs)
	}
	if code := second.wait(); code != 0 {
		t.Errorf("after stop its exit status is %d", code)
	}
}

// One that gave everything back stays too: started again it would take over
// again.
func TestLingerAfterRollback(t *testing.T) {
	dir := controlDir(t)
	first, wait, _ := logged(t, "-linger", "-addr", "127.0.0.1:0", "-dir", dir)
	wait("ready http")
	first.Process.Signal(syscall.SIGUSR2) // a successor shares
	var address string
	var pid, generation int
	line := wait("ready http")
	if _, err := fmt.Sscanf(line, "ready %s pid=%d generation=%d", &address, &pid, &generation); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	if _, errs, code := run(t, "graceport", "rollback", dir); code != 0 {
		t.Fatal(errs)
	}
	wait("drained, staying")
	if got := answers(t, address, 20); got[helloFrom(first.Process.Pid)] != 20 {
		t.Errorf("answers %v", got)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Errorf("the successor is gone: %v", err)
	}
	gone(t, pid)
}
