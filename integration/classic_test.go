package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/graceport/graceport/handoff"
)

// killLeft ends whatever a failed test leaves behind: serve knows only the
// first generation.
func killLeft(t *testing.T, dir string) {
	t.Cleanup(func() {
		s, err := handoff.NewService(dir)
		if err != nil {
			return
		}
		all, _ := s.Status(context.Background()) // an error: none lives
		for _, st := range all {
			if st.PID > 0 { // 0 would be our own process group
				syscall.Kill(st.PID, syscall.SIGKILL)
			}
		}
	})
}

// answers counts who answers n times.
func answers(t *testing.T, url string, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		body, err := get(url)
		if err != nil {
			t.Fatal(err)
		}
		got[strings.TrimSpace(body)]++
	}
	return got
}

func helloFrom(pid int) string { return fmt.Sprintf("Hello from %d!", pid) }

func gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return syscall.Kill(pid, 0) != nil })
}

// The demonstration that every tool of this kind is shown with: both answer,
// then the new one alone, then nobody.
func TestClassic(t *testing.T) {
	dir := controlDir(t)
	killLeft(t, dir)
	first := serve(t, "hello", "-addr", "127.0.0.1:0", "-dir", dir)
	url, old, _ := first.ready()
	first.signal(syscall.SIGUSR2)
	_, next, _ := first.ready()

	const n = 400
	got := answers(t, url, n)
	// Six standard deviations from the half.
	if a, b := got[helloFrom(old)], got[helloFrom(next)]; a+b != n || a < n/2-60 || b < n/2-60 {
		t.Errorf("%d and %d share: answers %v", old, next, got)
	}
	first.signal(syscall.SIGTERM)
	if code := first.wait(); code != 0 {
		t.Errorf("the old one's exit status is %d", code)
	}
	if got := answers(t, url, 50); got[helloFrom(next)] != 50 {
		t.Errorf("after the old one has ended, answers %v", got)
	}
	if err := syscall.Kill(next, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	gone(t, next)
	if _, err := get(url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after both have ended: %v", err)
	}
	leftOver(t, dir)
}

// background runs graceport; what it returns waits for its end.
func background(t *testing.T, args ...string) func() (stderr string, status int) {
	var errs string
	var status int
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, errs, status = run(t, "graceport", args...)
	}()
	return func() (string, int) {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatalf("graceport %v did not end within %v", args, patience)
		}
		return errs, status
	}
}

// A plan that is moved by hand and taken back, one that runs to its end, and a
// generation that is not waited for, all by the commands.
func TestShareRollbackAndStop(t *testing.T) {
	dir := controlDir(t)
	killLeft(t, dir)
	first := serve(t, "hello", "-addr", "127.0.0.1:0", "-dir", dir)
	address, old, _ := first.ready()
	do := func(args ...string) {
		t.Helper()
		if _, errs, code := run(t, "graceport", args...); code != 0 {
			t.Errorf("graceport %v: exit status %d\n%s", args, code, errs)
		}
	}

	upgrade := background(t, "upgrade", "-share", "50%", "-probation", "1m", dir)
	_, next, _ := first.ready()
	if table, _, _ := run(t, "graceport", "status", dir); !strings.Contains(table, "sharing (50% new)") {
		t.Errorf("status prints\n%s", table)
	}
	for _, x := range []struct {
		share string
		pid   int
	}{{"100%", next}, {"0%", old}} {
		do("share", dir, x.share)
		if got := answers(t, address, 30); got[helloFrom(x.pid)] != 30 {
			t.Errorf("share %s of %d: answers %v", x.share, next, got)
		}
	}
	do("rollback", dir)
	if errs, code := upgrade(); code != 1 || !strings.Contains(errs, "rolled back by the operator") {
		t.Errorf("upgrade that was rolled back: exit status %d\n%s", code, errs)
	}
	gone(t, next)
	if got := answers(t, address, 30); got[helloFrom(old)] != 30 {
		t.Errorf("after the rollback: answers %v", got)
	}

	errs, code := background(t, "upgrade", "-share", "10%:100ms,50%:100ms", "-probation", "200ms", dir)()
	for _, want := range []string{"receives a share", "successor leads", "closes its sockets", "done"} {
		if code != 0 || !strings.Contains(errs, want) {
			t.Errorf("upgrade: exit status %d, want %q in\n%s", code, want, errs)
		}
	}
	_, next, generation := first.ready()
	if first.wait() != 0 || generation != 3 {
		t.Errorf("generation %d follows", generation)
	}

	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	// net/http does not answer before it has read the rest.
	if _, err := io.WriteString(conn, "POST /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo"); err != nil {
		t.Fatal(err)
	}
	do("upgrade", dir)
	var table string
	eventually(t, "status shows the connection that drains", func() bool {
		table, _, _ = run(t, "graceport", "status", dir)
		return strings.Contains(table, "draining") && strings.Contains(table, "1 active") && strings.Contains(table, " active for ") && strings.Contains(table, "POST /hello")
	})
	do("stop", "-generation", fmt.Sprint(generation), "-now", dir)
	gone(t, next)
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the connection of a generation that ended now: read %d, %v", n, err)
	}

	watch := serve(t, "graceport", "status", "-watch", dir)
	for drawn := 0; drawn < 2; {
		select {
		case line := <-watch.lines:
			if n := utf8.RuneCountInString(strings.TrimPrefix(line, "\x1b[H\x1b[2J")); n > 80 {
				t.Errorf("%d columns: %q", n, line)
			}
			if strings.HasPrefix(line, "\x1b[H\x1b[2JGEN") {
				drawn++
			}
		case <-time.After(patience):
			t.Fatal("status -watch does not redraw")
		}
	}
	watch.signal(syscall.SIGINT)
	watch.wait()

	_, _, generation = first.ready()
	do("stop", "-generation", fmt.Sprint(generation), dir)
	eventually(t, "the service has ended", func() bool {
		_, _, code := run(t, "graceport", "status", dir)
		return code == 1
	})
	if _, err := get(address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the end: %v", err)
	}
	leftOver(t, dir)
}
