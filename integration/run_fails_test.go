package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A new copy that fails in any way leaves the old one serving.
func TestRunNewCopyFails(t *testing.T) {
	p := python(t, map[string]any{"notify": true})
	r := startRun(t, p.args("-ready", "notify", "-ready-timeout", "2s")...)
	r.says("msg=serving")
	first := who(t, p.address)
	for _, x := range []struct {
		config map[string]any
		want   string
	}{
		{map[string]any{"fail": 3}, "ended with status 3"},
		{map[string]any{}, "has not sent READY=1"},
	} {
		p.set(x.config)
		r.signal(syscall.SIGHUP)
		r.says("level=ERROR", x.want, "serving="+first)
		for range 20 {
			if now := who(t, p.address); now != first {
				t.Fatalf("%s answers, not %s", now, first)
			}
		}
		if n := len(descendants(r.cmd.Process.Pid)); n != 1 {
			t.Errorf("%d processes are left", n)
		}
	}
	p.set(map[string]any{"notify": true})
	r.restart()
	if now := who(t, p.address); now == first {
		t.Error("the old copy still answers")
	}
	r.signal(syscall.SIGTERM)
	if code := r.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// Every kind of check, each with a copy that fails it and one that passes.
func TestRunReadinessChecks(t *testing.T) {
	p := python(t, map[string]any{"health": true})
	health := func() string {
		b, err := os.ReadFile(p.command[len(p.command)-1])
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Address string
			Health  int
		}
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatal(err)
		}
		return net.JoinHostPort(c.Address, strconv.Itoa(c.Health))
	}()
	flag := filepath.Join(t.TempDir(), "ready")
	for _, check := range []string{"tcp:" + health, "http://" + health + "/", "exec:test -e " + flag} {
		t.Run(strings.SplitN(check, ":", 2)[0], func(t *testing.T) {
			if err := os.WriteFile(flag, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			p.set(map[string]any{"health": true})
			r := startRun(t, p.args("-ready", check, "-ready-timeout", "2s")...)
			r.says("msg=serving")
			r.restart()
			now := who(t, p.address)
			if strings.HasPrefix(check, "exec:") {
				if err := os.Remove(flag); err != nil {
					t.Fatal(err)
				}
			}
			// The old copy would answer the check.
			p.set(nil)
			r.signal(syscall.SIGHUP)
			if strings.HasPrefix(check, "exec:") {
				r.says("level=ERROR", "exit status 1")
			} else {
				r.says("level=ERROR", "not ready within 2s")
			}
			if again := who(t, p.address); again != now {
				t.Errorf("%s answers, not %s", again, now)
			}
			r.signal(syscall.SIGTERM)
			if code := r.wait(); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

func TestRunNeedsReusePort(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) program{
		"nginx":  func(t *testing.T) program { return nginx(t, 1, "") },
		"python": func(t *testing.T) program { return python(t, map[string]any{"reuse": false}) },
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			r := startRun(t, p.args()...)
			r.says("level=ERROR", "without SO_REUSEPORT", "reuseport")
			before := who(t, p.address)
			r.signal(syscall.SIGHUP)
			r.says("level=ERROR", "restart", "without SO_REUSEPORT")
			if now := who(t, p.address); name == "python" && now != before {
				t.Errorf("%s answers, not %s", now, before)
			}
			r.signal(syscall.SIGTERM)
			if code := r.wait(); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// Somebody else in the group makes indices meaningless.
func TestRunRefusesStrangers(t *testing.T) {
	p := python(t, nil)
	r := startRun(t, p.args()...)
	r.says("msg=serving")
	other := startCommand(t, exec.Command(p.command[0], p.command[1:]...))
	eventually(t, "the stranger answers", func() bool { return who(t, p.address) == fmt.Sprint(other.cmd.Process.Pid) })
	r.signal(syscall.SIGHUP)
	r.says("level=ERROR", fmt.Sprintf("process %d (python3", other.cmd.Process.Pid), "listens on "+p.address)
	other.signal(syscall.SIGTERM)
	other.wait()
	r.restart()
	r.signal(syscall.SIGTERM)
	if code := r.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// The only copy's end is ours.
func TestRunEndsWithTheCopy(t *testing.T) {
	p := python(t, nil)
	r := startRun(t, p.args()...)
	r.says("msg=serving")
	r.restart()
	pid, err := strconv.Atoi(who(t, p.address))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := r.wait(); code != 128+9 {
		t.Errorf("exit status %d, want 137", code)
	}
}

// While the new copy is not ready, the old one ends: the new one is all there
// is, and serves, but the restart is over only when it is ready.
func TestRunOldCopyEndsDuringRestart(t *testing.T) {
	p := python(t, nil)
	flag := filepath.Join(t.TempDir(), "ready")
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := startRun(t, p.args("-ready", "exec:test -e "+flag)...)
	r.says("msg=serving")
	old, err := strconv.Atoi(who(t, p.address))
	if err == nil {
		err = os.Remove(flag)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGHUP)
	r.says("new copy started")
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.says("stopped listening by itself")
	eventually(t, "the new copy answers", func() bool {
		_, err := get("http://" + p.address + "/")
		return err == nil
	})
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.says("msg=restarted")
	r.signal(syscall.SIGTERM)
	if code := r.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// A stop ends a restart, and a restart that is asked for meanwhile comes after
// the one under way.
func TestRunSignalsDuringRestart(t *testing.T) {
	p := python(t, map[string]any{"notify": true})
	r := startRun(t, p.args("-ready", "notify")...)
	r.says("msg=serving")
	r.signal(syscall.SIGHUP)
	r.says("new copy started")
	r.signal(syscall.SIGHUP)
	r.says("msg=restarted")
	r.says("msg=restarted")
	p.set(nil) // which is never ready
	r.signal(syscall.SIGHUP)
	r.says("new copy started")
	r.signal(syscall.SIGTERM)
	if code := r.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// What a master leaves behind when it is killed does not serve on.
func TestRunMasterIsKilled(t *testing.T) {
	p := nginx(t, 2, "reuseport")
	r := startRun(t, p.args()...)
	line := r.says("msg=serving", "sockets=2")
	var master int
	if _, err := fmt.Sscanf(line[strings.Index(line, "pid="):], "pid=%d", &master); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	who(t, p.address)
	if err := syscall.Kill(master, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := r.wait(); code != 128+9 {
		t.Errorf("exit status %d, want 137", code)
	}
}

func TestRunSaysWhatToDo(t *testing.T) {
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, 2, "usage: graceport run"},
		{[]string{"-listen", "8080", "--", "true"}, 2, "want HOST:PORT"},
		{[]string{"-stop", "QUIT", "--", "true"}, 2, "need -listen"},
		{[]string{"-listen", ":80", "-stop", "KILL", "--", "true"}, 2, "want one of"},
		{[]string{"--", "/nonexistent"}, 1, "no such file"},
		{[]string{"--", "sh", "-c", "exit 5"}, 5, ""},
	} {
		_, errs, code := run(t, "graceport", append([]string{"run"}, x.args...)...)
		if code != x.code || !strings.Contains(errs, x.want) {
			t.Errorf("graceport run %q: exit status %d, want %d with %q:\n%s", x.args, code, x.code, x.want, errs)
		}
	}
	if out, _, code := run(t, "graceport", "run", "-h"); code != 0 || !strings.Contains(out, "Example") {
		t.Errorf("graceport run -h: exit status %d, without an example:\n%s", code, out)
	}
}
