package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inside runs f with the system's network.
func (s *system) inside(f func()) {
	s.t.Helper()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and the thread ends with this goroutine
		var ns *os.File
		if ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", s.pid)); err != nil {
			return
		}
		defer ns.Close()
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err == nil {
			f()
		}
	}()
	if <-done; err != nil {
		s.t.Errorf("the system's network namespace: %v", err)
	}
}

const serviceAddr = "127.0.0.1:8080"

func dialService() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", serviceAddr, patience)
	if err == nil {
		conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// systemLoad is clients that make one request a connection and never retry.
type systemLoad struct {
	answered, lost atomic.Int64
	last           atomic.Value // why
	stop           chan struct{}
	clients        sync.WaitGroup
}

func (s *system) load() *systemLoad {
	l := &systemLoad{stop: make(chan struct{})}
	for range 8 {
		l.clients.Go(func() {
			s.inside(func() {
				for {
					select {
					case <-l.stop:
						return
					default:
					}
					if err := helloRequest(); err != nil {
						l.last.Store(err.Error())
						l.lost.Add(1)
						continue
					}
					l.answered.Add(1)
				}
			})
		})
	}
	s.t.Cleanup(l.end)
	l.goesOn(s.t)
	return l
}

func helloRequest() error {
	conn, err := dialService()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /hello HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	b, err := io.ReadAll(conn)
	if err == nil && !strings.Contains(string(b), "Hello from") {
		err = fmt.Errorf("answer %q", b)
	}
	return err
}

// goesOn waits until more is answered.
func (l *systemLoad) goesOn(t *testing.T) {
	t.Helper()
	before := l.answered.Load()
	eventually(t, "the load goes on", func() bool { return l.answered.Load() >= before+100 })
}

func (l *systemLoad) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.clients.Wait()
}

// The README's unit under a real systemd: reloads replace the main process and
// lose nothing, where a restart does.
func TestSystemdReload(t *testing.T) {
	s := bootSystemd(t)
	s.do("start", "hello")
	l := s.load()
	seen := map[string]bool{s.show("hello")["MainPID"]: true}
	for i := range 5 {
		s.do("reload", "hello")
		p := s.show("hello")
		if p["ActiveState"] != "active" || p["SubState"] != "running" || seen[p["MainPID"]] {
			t.Errorf("after reload %d: %s (%s), main process %s of %v", i+1, p["ActiveState"], p["SubState"], p["MainPID"], seen)
		}
		if want := fmt.Sprintf("generation %d serves", i+2); p["StatusText"] != want {
			t.Errorf("after reload %d the status is %q, want %q", i+1, p["StatusText"], want)
		}
		seen[p["MainPID"]] = true
		l.goesOn(t)
	}
	eventually(t, "the former generations have ended", func() bool { return s.show("hello")["TasksCurrent"] != "" && s.processes("hello") == 1 })

	// A build that does not start fails the reload, and nothing else.
	if err := os.WriteFile(filepath.Join(s.bin, "hello.new"), []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.bin, "hello.new"), filepath.Join(s.bin, "hello")); err != nil {
		t.Fatal(err)
	}
	before := s.show("hello")
	if out, err := s.try("reload", "hello"); err == nil {
		t.Errorf("a reload with a broken build succeeds: %s", out)
	}
	p := s.show("hello")
	if p["ActiveState"] != "active" || p["MainPID"] != before["MainPID"] || !strings.Contains(p["StatusText"], "upgrade failed") {
		t.Errorf("after a failed reload: %s, main process %s, before %s, status %q", p["ActiveState"], p["MainPID"], before["MainPID"], p["StatusText"])
	}
	install(t, "hello", filepath.Join(s.bin, "hello"))
	l.goesOn(t)
	if p["NRestarts"] != "0" || l.lost.Load() > 0 {
		t.Errorf("%s restarts, %d lost of %d, the last: %v", p["NRestarts"], l.lost.Load(), l.lost.Load()+l.answered.Load(), l.last.Load())
	}
	t.Logf("5 reloads: %d answered, %d lost", l.answered.Load(), l.lost.Load())

	s.do("restart", "hello")
	l.goesOn(t)
	if l.lost.Load() == 0 {
		t.Error("a restart loses nothing: the check cannot fail")
	}
	s.do("stop", "hello")
	if p := s.show("hello"); p["ActiveState"] != "inactive" || p["Result"] != "success" {
		t.Errorf("after stop: %s, %s", p["ActiveState"], p["Result"])
	}
}

// processes counts those of a unit.
func (s *system) processes(unit string) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/sys/fs/cgroup%s/cgroup.procs", s.pid, s.show(unit)["ControlGroup"]))
	if err != nil {
		return 0
	}
	return strings.Count(string(b), "\n")
}

// The template of the README: one instance replaces the other.
func TestSystemdPair(t *testing.T) {
	s := bootSystemd(t)
	s.do("start", "hello@1.4")
	l := s.load()
	for _, x := range [][2]string{{"hello@1.4", "hello@1.5"}, {"hello@1.5", "hello@1.4"}} {
		s.do("start", x[1])
		eventually(t, x[0]+" ends by itself", func() bool { return s.show(x[0])["ActiveState"] == "inactive" })
		if p := s.show(x[0]); p["Result"] != "success" || p["NRestarts"] != "0" {
			t.Errorf("%s: %s, %s restarts", x[0], p["Result"], p["NRestarts"])
		}
		if p := s.show(x[1]); p["ActiveState"] != "active" {
			t.Errorf("%s is %s", x[1], p["ActiveState"])
		}
		l.goesOn(t)
	}
	if l.lost.Load() > 0 {
		t.Errorf("%d lost of %d, the last: %v", l.lost.Load(), l.lost.Load()+l.answered.Load(), l.last.Load())
	}
	s.do("restart", "hello@1.4")
	l.goesOn(t)
	if l.lost.Load() == 0 {
		t.Error("a restart loses nothing: the check cannot fail")
	}
}

// upload begins a request whose end is up to the caller.
func (s *system) upload() net.Conn {
	s.t.Helper()
	var conn net.Conn
	var err error
	s.inside(func() { conn, err = dialService() })
	if err == nil {
		_, err = io.WriteString(conn, "POST /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo")
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// A successor that dies while its predecessor drains is no child of systemd's
// yet. It is noticed and the service started again all the same.
func TestSystemdMainProcessDies(t *testing.T) {
	s := bootSystemd(t)
	s.dropIn("hello", "[Service]\nWatchdogSec=0\n") // which would notice too, later
	s.do("start", "hello")
	s.upload()
	s.do("reload", "hello")
	before := s.show("hello")["MainPID"]
	if n := s.processes("hello"); n != 2 {
		t.Errorf("%d processes, want one that drains and one that serves", n)
	}
	s.do("kill", "--kill-whom=main", "--signal=KILL", "hello")
	eventually(t, "the service is started again", func() bool {
		p := s.show("hello")
		return p["NRestarts"] == "1" && p["ActiveState"] == "active" && p["MainPID"] != before
	})
}

// A drain that takes longer than TimeoutStopSec is not cut while it goes on.
func TestSystemdLongDrain(t *testing.T) {
	s := bootSystemd(t)
	const timeout = time.Second
	s.dropIn("hello", fmt.Sprintf("[Service]\nTimeoutStopSec=%dms\n", timeout.Milliseconds()))
	s.do("start", "hello")
	conn := s.upload()
	s.do("stop", "--no-block", "hello")
	<-time.After(3 * timeout) // longer than it may, by itself
	if p := s.show("hello"); p["ActiveState"] != "deactivating" {
		t.Errorf("the unit is %s", p["ActiveState"])
	}
	if _, err := io.WriteString(conn, "dy"); err != nil {
		t.Error(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(b), "Hello from") {
		t.Errorf("the answer is %q, %v", b, err)
	}
	eventually(t, "the unit has ended", func() bool { return s.show("hello")["ActiveState"] == "inactive" })
	if p := s.show("hello"); p["Result"] != "success" {
		t.Errorf("it ended with %s", p["Result"])
	}
}

// The watchdog is fed by each main process in turn, and ends one that hangs.
func TestSystemdWatchdog(t *testing.T) {
	s := bootSystemd(t)
	s.dropIn("hello", "[Service]\nWatchdogSec=2s\n")
	s.do("start", "hello")
	s.do("reload", "hello")
	before := s.show("hello")
	<-time.After(6 * time.Second) // three intervals
	if p := s.show("hello"); p["NRestarts"] != "0" || p["MainPID"] != before["MainPID"] {
		t.Errorf("%s restarts, main process %s after %s", p["NRestarts"], p["MainPID"], before["MainPID"])
	}
	s.do("kill", "--kill-whom=main", "--signal=STOP", "hello")
	eventually(t, "the service is started again", func() bool {
		p := s.show("hello")
		return p["NRestarts"] == "1" && p["ActiveState"] == "active"
	})
}

// dropIn adds to a unit.
func (s *system) dropIn(unit, text string) {
	s.t.Helper()
	dir := filepath.Join(filepath.Dir(s.bin), "units", unit+".service.d")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test.conf"), []byte(text), 0o644)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.do("daemon-reload")
}
