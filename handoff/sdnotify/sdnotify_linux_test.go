package sdnotify

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 30 * time.Second

// pair is a service's end and its manager's.
func pair(t *testing.T, path string) (*Notifier, *Socket) {
	t.Helper()
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.conn.SetReadDeadline(time.Now().Add(patience))
	t.Setenv(EnvSocket, path)
	n, err := New()
	if err != nil || n == nil {
		t.Fatalf("New: %v, %v", n, err)
	}
	t.Cleanup(func() { n.Close() })
	return n, s
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sdnotify") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "notify")
}

func TestNotifyIsReceived(t *testing.T) {
	for _, path := range []string{socketPath(t), fmt.Sprintf("@graceport-test-%d-%d", os.Getpid(), time.Now().UnixNano())} {
		n, s := pair(t, path)
		if err := n.Notify("MAINPID=12", "READY=1", Status("all\nis well")); err != nil {
			t.Fatal(err)
		}
		m, err := s.Receive()
		want := []string{"MAINPID=12", "READY=1", "STATUS=all is well"}
		if err != nil || !slices.Equal(m.Fields, want) || m.PID != os.Getpid() || m.UID != os.Geteuid() {
			t.Errorf("%s: received %+v, %v", path, m, err)
		}
		if v, ok := m.Value("MAINPID"); !ok || v != "12" {
			t.Errorf("MAINPID is %q, %v", v, ok)
		}
		if _, ok := m.Value("STOPPING"); ok {
			t.Error("STOPPING was not sent")
		}
	}
}

func TestNobodyListens(t *testing.T) {
	t.Setenv(EnvSocket, "")
	n, err := New()
	if n != nil || err != nil {
		t.Errorf("New without %s: %v, %v", EnvSocket, n, err)
	}
	if err := errors.Join(n.Notify("READY=1"), n.Close()); err != nil {
		t.Errorf("a nil Notifier: %v", err)
	}
	path := socketPath(t)
	t.Setenv(EnvSocket, path)
	if n, err = New(); err != nil {
		t.Fatal(err)
	}
	if err := n.Notify("READY=1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
	// One that appears, or comes back, is found.
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := n.Notify("READY=1"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(n.Close(), n.Close()); err != nil {
		t.Error(err)
	}
	if err := n.Notify("READY=1"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A manager that does not read costs an error, never a wait.
func TestFullSocket(t *testing.T) {
	n, s := pair(t, socketPath(t))
	ended := make(chan error, 1)
	sent := 0
	go func() {
		for {
			if err := n.Notify("WATCHDOG=1"); err != nil {
				ended <- err
				return
			}
			sent++
		}
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, syscall.EAGAIN) || sent == 0 {
			t.Errorf("after %d: %v", sent, err)
		}
	case <-time.After(patience):
		t.Fatal("Notify waits")
	}
	if _, err := s.Receive(); err != nil {
		t.Fatal(err)
	}
	if err := n.Notify("READY=1"); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, x := range []struct{ path, want string }{
		{"vsock:2:1234", "vsock"},
		{"run/notify", "absolute path"},
		{"@", "absolute path"},
		{"/" + strings.Repeat("x", maxPath), "at most 107 bytes"},
	} {
		t.Setenv(EnvSocket, x.path)
		n, err := New()
		if n != nil || !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("New with %q: %v", x.path, err)
		}
		if _, err := Listen(x.path); !errors.Is(err, ErrAddress) {
			t.Errorf("Listen(%q): %v", x.path, err)
		}
	}
	if _, err := Listen(""); !errors.Is(err, ErrAddress) {
		t.Errorf("Listen without a path: %v", err)
	}
	path := socketPath(t)
	_, s := pair(t, path)
	if _, err := Listen(path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a path in use: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close the path is there: %v", err)
	}
	if _, err := s.Receive(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Receive after Close: %v", err)
	}
}

func TestRefusedFields(t *testing.T) {
	n, s := pair(t, socketPath(t))
	for _, fields := range [][]string{
		nil, {""}, {"READY"}, {"=1"}, {"STATUS=x\nMAINPID=1"}, {"STATUS=\x00"},
		{"STATUS=" + strings.Repeat("x", maxDatagram)},
	} {
		if err := n.Notify(fields...); !errors.Is(err, ErrMessage) {
			t.Errorf("Notify(%.40q): %v", fields, err)
		}
	}
	if err := n.Notify(Status(strings.Repeat("é", 3000))); err != nil {
		t.Error(err)
	}
	m, err := s.Receive()
	if v, _ := m.Value("STATUS"); err != nil || !strings.HasPrefix(v, "éé") || !strings.HasSuffix(v, "é…") {
		t.Errorf("a long status: %v", err)
	}
}

// What comes from others is bounded, and one bad datagram does not end the
// conversation with the rest.
func TestBadDatagrams(t *testing.T) {
	path := socketPath(t)
	n, s := pair(t, path)
	for _, bad := range []string{strings.Repeat("A=1\n", maxDatagram), "nothing", "A=1\x00", ""} {
		if err := n.conn.send(bad); err != nil {
			t.Fatal(err)
		}
		if m, err := s.Receive(); !errors.Is(err, ErrMessage) || len(m.Fields) > 0 {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	if err := n.Notify("READY=1"); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Receive(); err != nil || len(m.Fields) != 1 {
		t.Errorf("after them: %+v, %v", m, err)
	}
}

// BARRIER=1 passes the end of a pipe and waits until it is closed, which tells
// that all before was read (sd_notify_barrier(3)).
func TestPassedDescriptorsAreClosed(t *testing.T) {
	n, s := pair(t, socketPath(t))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rights := unix.UnixRights(int(w.Fd()), int(w.Fd()))
	err = unix.Sendmsg(n.conn.fd, []byte("BARRIER=1"), rights, n.conn.to, 0)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Receive()
	if _, ok := m.Value("BARRIER"); err != nil || !ok || m.PID != os.Getpid() {
		t.Errorf("received %+v, %v", m, err)
	}
	r.SetReadDeadline(time.Now().Add(patience))
	if n, err := r.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the other end is still open: %v", err)
	}
}

func TestReloadingTellsTheTime(t *testing.T) {
	before := monotonic()
	fields := Reloading()
	var usec int64
	if _, err := fmt.Sscanf(fields[1], "MONOTONIC_USEC=%d", &usec); err != nil || fields[0] != "RELOADING=1" {
		t.Fatalf("%q: %v", fields, err)
	}
	if at := time.Duration(usec) * time.Microsecond; at < before.Truncate(time.Microsecond) || at > monotonic() || at == 0 {
		t.Errorf("the time is %v, before it was %v", at, before)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"READY=1", "MAINPID=1\nREADY=1\n", "\n\r=\n", "A=\x00", "STATUS=a=b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := parse(b)
		if (err == nil) == (len(fields) == 0) {
			t.Fatalf("%q, %v", fields, err)
		}
		if err != nil {
			return
		}
		again, err := parse([]byte(strings.Join(fields, "\n")))
		if err != nil || !slices.Equal(fields, again) {
			t.Errorf("%q is read as %q, %v", fields, again, err)
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add("ready\nMAINPID=1")
	f.Add(strings.Repeat("€", 2000))
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := parse([]byte(Status(text)))
		if err != nil || len(fields) != 1 || !strings.HasPrefix(fields[0], "STATUS=") {
			t.Errorf("%q, %v", fields, err)
		}
	})
}
