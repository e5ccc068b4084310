package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asInit starts graceport run as the first process of a PID namespace.
func asInit(t *testing.T, args ...string) *running {
	t.Helper()
	// It needs a /proc of its own, as a container has.
	const mounted = `mount --make-rprivate / && mount -t proc proc /proc && exec "$0" "$@"`
	namespaced := func(script string, args ...string) *exec.Cmd {
		cmd := exec.Command("sh", append([]string{"-c", script}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		}
		return cmd
	}
	out, err := namespaced(mounted, "true").CombinedOutput()
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOSPC) ||
		err != nil && strings.Contains(string(out), "permission denied") {
		t.Skipf("no PID namespace with a /proc here: %v %s", err, out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return startCommand(t, namespaced(mounted, append([]string{filepath.Join(bin, "graceport"), "run"}, args...)...))
}

// helloReady reads the ready line of a generation.
func helloReady(t *testing.T, r *running, generation int) (pid int) {
	t.Helper()
	line := r.says("ready http://", fmt.Sprintf("generation=%d", generation))
	var url string
	if _, err := fmt.Sscanf(line, "ready %s pid=%d", &url, &pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return pid
}

// alone waits until the only process that PID 1 has left is one, whose pid out
// here it returns, and nothing waits to be reaped.
func alone(t *testing.T, r *running) (pid int) {
	t.Helper()
	eventually(t, "one process is left", func() bool {
		all := descendants(r.cmd.Process.Pid)
		if len(all) == 1 {
			pid = all[0]
		}
		return len(all) == 1
	})
	if _, _, state := statOf(fmt.Sprintf("/proc/%d/stat", pid)); state == "Z" {
		t.Errorf("process %d is a zombie", pid)
	}
	return pid
}

// Five generations replace each other through PID 1, which then ends with the
// status of the last one.
func TestRunAsInit(t *testing.T) {
	for name, x := range map[string]struct {
		end  func(r *running, last int)
		code int
	}{
		"stopped": {func(r *running, _ int) { r.signal(syscall.SIGTERM) }, 0},
		"killed":  {func(r *running, last int) { syscall.Kill(last, syscall.SIGKILL) }, 128 + 9},
	} {
		t.Run(name, func(t *testing.T) {
			r := asInit(t, "--", filepath.Join(bin, "hello"), "-addr", "127.0.0.1:0", "-dir", controlDir(t))
			helloReady(t, r, 1)
			for generation := 2; generation <= 5; generation++ {
				r.signal(syscall.SIGHUP)
				helloReady(t, r, generation)
				alone(t, r)
			}
			x.end(r, alone(t, r))
			if code := r.wait(); code != x.code {
				t.Errorf("exit status %d, want %d", code, x.code)
			}
		})
	}
}

// Orphans, which double forks leave, are reaped by PID 1.
func TestRunReapsOrphans(t *testing.T) {
	r := asInit(t, "--", "sh", "-c", `for i in 1 2 3 4 5; do sh -c 'sh -c "exit 9" &'; done; echo left; exec sleep 600`)
	r.says("left")
	alone(t, r)
	all := descendants(r.cmd.Process.Pid)
	syscall.Kill(all[0], syscall.SIGTERM)
	if code := r.wait(); code != 128+15 {
		t.Errorf("exit status %d, want %d", code, 128+15)
	}
}
