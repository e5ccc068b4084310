package integration

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/graceport/graceport/handoff/sdnotify"
)

const (
	extended  = "EXTEND_TIMEOUT_USEC=30000000"
	reloading = "RELOADING=1 MONOTONIC_USEC " + extended + " STATUS=generation %d is being replaced"
	handed    = "MAINPID READY=1 STATUS=generation %d serves"
)

// What a service manager hears in a service's life, datagram by datagram, by
// the rules of systemd for NotifyAccess=main.
func TestNotifyConversation(t *testing.T) {
	s := newSupervisor(t, controlDir(t))
	_, first := s.start("-addr", "127.0.0.1:0")
	s.is("running")
	s.expect("READY=1 STATUS=generation 1 serves")

	for generation := 2; generation <= 4; generation++ {
		if errs, code := s.reload(); code != 0 {
			t.Fatalf("ExecReload: exit status %d\n%s", code, errs)
		}
		_, pid := s.ready()
		s.is("running")
		s.expect(fmt.Sprintf(reloading, generation-1), fmt.Sprintf(handed, generation))
		if main := s.mainPID(); main != pid || main == first {
			t.Errorf("the main process is %d, generation %d is %d", main, generation, pid)
		}
	}

	// A deployment that does not start changes nothing.
	if err := os.WriteFile(s.exe+".new", []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.exe+".new", s.exe); err != nil {
		t.Fatal(err)
	}
	before := s.mainPID()
	if errs, code := s.reload(); code != 1 {
		t.Errorf("ExecReload: exit status %d\n%s", code, errs)
	}
	s.is("running")
	s.expect(fmt.Sprintf(reloading, 4), "READY=1 STATUS=upgrade failed: the successor (pid) ended before it was ready: exit status 3; its own log says more; generation 4 serves on")
	install(t, "hello", s.exe)

	// HUP does the same without a command.
	if err := syscall.Kill(before, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.eventually("the main process changes", func() bool { return s.main != before })
	s.is("running")
	s.expect(fmt.Sprintf(reloading, 4), fmt.Sprintf(handed, 5))

	// systemctl stop, by default, tells every process of the unit.
	if err := syscall.Kill(s.mainPID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.is("dead")
	s.expect(extended+" STATUS=generation 5 was told to stop", extended+" STATUS=generation 5 drains")
}

// A rollback in probation leaves the main process what it was.
func TestNotifyRollback(t *testing.T) {
	s := newSupervisor(t, controlDir(t))
	_, first := s.start("-addr", "127.0.0.1:0")
	s.expect("READY=1 STATUS=generation 1 serves")
	ended := make(chan string)
	go func() {
		errs, code := s.reload("-share", "50%:1ms", "-probation", "10m")
		ended <- fmt.Sprint(code, errs)
	}()
	_, second := s.ready()
	eventually(t, "the successor leads, in probation", func() bool {
		out, _, _ := run(t, "graceport", "status", s.dir)
		return strings.Contains(out, "probation")
	})
	if errs, code := s.graceport("rollback"); code != 0 {
		t.Fatal(errs)
	}
	if out := <-ended; !strings.HasPrefix(out, "1") || !strings.Contains(out, "rolled back") {
		t.Errorf("the upgrade ends with %s", out)
	}
	gone(t, second)
	s.expect(fmt.Sprintf(reloading, 1), "READY=1 STATUS=upgrade failed: it was rolled back by the operator; generation 1 serves on")
	if s.mainPID() != first {
		t.Error("the main process has changed")
	}
	s.is("running")
}

// Two units of one template: each says that it is ready when it serves, and
// the one that is replaced drains and ends by itself.
func TestNotifyPair(t *testing.T) {
	dir := controlDir(t)
	one, two := newSupervisor(t, dir), newSupervisor(t, dir)
	address, _ := one.start("-addr", "127.0.0.1:0")
	one.expect("READY=1 STATUS=generation 1 serves")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	two.start("-addr", u.Host)
	two.is("running")
	two.expect("READY=1 STATUS=generation 2 serves")
	eventually(t, "the first unit has ended", func() bool { return !isAlive(one.mainPID()) })
	one.expect(extended + " STATUS=generation 1 drains")
	one.start("-addr", u.Host)
	one.expect("READY=1 STATUS=generation 3 serves")
	two.expect(extended + " STATUS=generation 2 drains")
}

// Every interval of the watchdog is met, by whoever is the main process.
func TestNotifyWatchdog(t *testing.T) {
	s := newSupervisor(t, controlDir(t), "WATCHDOG_USEC=200000")
	s.start("-addr", "127.0.0.1:0")
	pinged := func() {
		t.Helper()
		s.eventually("the main process pings", func() bool { return s.pings[s.main] >= 3 })
	}
	pinged()
	s.expect("READY=1 STATUS=generation 1 serves")
	if errs, code := s.reload(); code != 0 {
		t.Fatalf("ExecReload: exit status %d\n%s", code, errs)
	}
	s.is("running")
	pinged()
	s.expect(fmt.Sprintf(reloading, 1), fmt.Sprintf(handed, 2)+" WATCHDOG=1")
}

// What is not the main process is not heard: without this the conversations
// above would hold for anyone.
func TestSupervisorHearsOnlyTheMainProcess(t *testing.T) {
	s := newSupervisor(t, controlDir(t))
	s.start("-addr", "127.0.0.1:0")
	s.expect("READY=1 STATUS=generation 1 serves")
	stranger := exec.Command(s.exe, "-addr", "127.0.0.1:0", "-dir", controlDir(t))
	stranger.Env, stranger.SysProcAttr = s.env, ordinaryUser()
	if os.Geteuid() == 0 {
		os.Chown(filepath.Dir(stranger.Args[4]), 65534, 65534)
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer stranger.Wait()
	defer stranger.Process.Kill()
	s.eventually("the stranger speaks", func() bool { return len(s.dropped) > 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped[0] != "READY=1 STATUS=generation 1 serves" || len(s.said) > 0 {
		t.Errorf("dropped %q, heard %q", s.dropped, s.said)
	}
	s.dropped = nil
}

// A service whose manager has gone serves all the same.
func TestNotifyNobody(t *testing.T) {
	dir := controlDir(t)
	s := newSupervisor(t, dir)
	s.socket.Close()
	address, pid := s.start("-addr", "127.0.0.1:0")
	if body, err := get(address); err != nil || strings.TrimSpace(body) != helloFrom(pid) {
		t.Errorf("%q, %v", body, err)
	}
	t.Setenv(sdnotify.EnvSocket, "vsock:2:1234")
	first := serve(t, "hello", "-addr", "127.0.0.1:0", "-dir", controlDir(t))
	first.ready()
	first.signal(syscall.SIGTERM)
	if code := first.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// The unit of the README, and the template that it describes by the difference,
// are the files that the tests run.
func TestReadmeUnits(t *testing.T) {
	text := readme(t)
	shown := regexp.MustCompile("(?s)```ini\n(.*?)```").FindStringSubmatch(text)
	if shown == nil {
		t.Fatal("the README shows no unit")
	}
	template := strings.NewReplacer(
		"RuntimeDirectoryMode=0700\n", "RuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=yes\n",
		"ExecStart=/usr/local/bin/hello ", "ExecStart=/usr/local/bin/hello-%i ",
		"ExecReload=/usr/local/bin/graceport upgrade /run/hello\n", "",
	).Replace(shown[1])
	for name, want := range map[string]string{"hello.service": shown[1], "hello@.service": template} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != want {
			t.Errorf("testdata/%s is not what the README says:\n%s", name, b)
		}
	}
	for _, difference := range []string{"without\n`ExecReload`", "`ExecStart=/usr/local/bin/hello-%i …`", "`RuntimeDirectoryPreserve=yes`"} {
		if !strings.Contains(text, difference) {
			t.Errorf("the README does not say %q of the template", difference)
		}
	}
}

// systemd-analyze has nothing to say of them. Its exit status does not tell.
func TestUnitsVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	verify := func(name string, old, new string) string {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), old, new)
		path := filepath.Join(t.TempDir(), strings.Replace(name, "@", "@1.4", 1))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
		return string(out)
	}
	place := t.TempDir()
	for _, name := range []string{"hello", "hello-1.4"} {
		install(t, "hello", filepath.Join(place, name))
	}
	install(t, "graceport", filepath.Join(place, "graceport"))
	for _, name := range []string{"hello.service", "hello@.service"} {
		if out := verify(name, "/usr/local/bin", place); out != "" {
			t.Errorf("%s:\n%s", name, out)
		}
		if out := verify(name, "Restart=", "Restrat="); out == "" {
			t.Errorf("%s: a word that is wrong is not noticed", name)
		}
	}
}
