package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// bootScript makes a system of its own out of the namespaces it is started
// in, with the files in $1 where the units of testdata expect them, and becomes
// its systemd.
const bootScript = `set -e
root=$1 group=$2
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/systemd /run/lock
mount --bind "$root/bin" /usr/local/bin
mount --bind "$root/passwd" /etc/passwd
mount --bind "$root/group" /etc/group
echo 0 > "$group/cgroup.procs"
exec unshare --cgroup sh -c '
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i PATH="$PATH" container=graceport SYSTEMD_UNIT_PATH="$0/units" SYSTEMD_LOG_TARGET=console \
	/lib/systemd/systemd --system --unit=multi-user.target
' "$root"
`

// system is a booted systemd.
type system struct {
	t   *testing.T
	pid int
	bin string // /usr/local/bin there
}

// bootSystemd boots the systemd of this machine in namespaces of its own, with
// the units of testdata. It skips the test where that cannot be done.
func bootSystemd(t *testing.T) *system {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("booting systemd in namespaces needs root")
	}
	for _, program := range []string{"/lib/systemd/systemd", "systemctl", "unshare", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	root := systemRoot(t)
	group := testGroup(t)

	cmd := exec.Command("sh", "-c", bootScript, "sh", root, group)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // its end would be our death to the child
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Skipf("namespaces for systemd: %v", err)
	}
	s := &system{t: t, pid: cmd.Process.Pid, bin: filepath.Join(root, "bin")}
	t.Cleanup(func() {
		cmd.Process.Kill() // with it, all of its namespace
		<-ended
		if t.Failed() {
			t.Logf("systemd says\n%s", log.String())
		}
	})
	eventually(t, "systemd has booted", func() bool {
		select {
		case <-ended:
			t.Skipf("systemd does not boot here: %v\n%s", cmd.ProcessState, log.String())
		default:
		}
		out, _ := s.try("is-system-running")
		return strings.HasPrefix(out, "running")
	})
	return s
}

// systemRoot prepares the files that the system has instead of the machine's.
func systemRoot(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("", "graceport")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, dir := range []string{"", "bin", "units"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		os.Chmod(filepath.Join(root, dir), 0o755)
	}
	write := func(name, text string, old string) {
		b := []byte{}
		if old != "" {
			if b, err = os.ReadFile(old); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(root, name), append(b, text...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("passwd", "hello:x:64999:64999::/:/bin/false\n", "/etc/passwd")
	write("group", "hello:x:64999:\n", "/etc/group")
	for _, unit := range []string{"hello.service", "hello@.service"} {
		write("units/"+unit, "", "testdata/"+unit)
	}
	// The least that a system of services needs, and none of this machine's.
	for _, target := range []string{"multi-user", "basic", "sysinit", "shutdown"} {
		write("units/"+target+".target", "[Unit]\nDefaultDependencies=no\n", "")
	}
	for _, name := range []string{"hello", "hello-1.4", "hello-1.5"} {
		install(t, "hello", filepath.Join(root, "bin", name))
	}
	install(t, "graceport", filepath.Join(root, "bin", "graceport"))
	return root
}

// testGroup makes a control group for the system.
func testGroup(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.Contains(line, " - cgroup2 ") {
			continue
		}
		group := filepath.Join(f[4], fmt.Sprintf("graceport-test-%d", os.Getpid()))
		if err := os.Mkdir(group, 0o755); err != nil {
			t.Skipf("a control group for systemd: %v", err)
		}
		t.Cleanup(func() { removeGroup(t, group) })
		return group
	}
	t.Skip("systemd needs a control group, and no cgroup2 is mounted")
	return ""
}

func removeGroup(t *testing.T, group string) {
	entries, _ := os.ReadDir(group)
	for _, e := range entries {
		if e.IsDir() {
			removeGroup(t, filepath.Join(group, e.Name()))
		}
	}
	eventually(t, "the control group is empty", func() bool {
		err := os.Remove(group)
		return err == nil || os.IsNotExist(err)
	})
}

// try runs systemctl in the system.
func (s *system) try(args ...string) (string, error) {
	cmd := exec.Command("nsenter", append([]string{"-t", fmt.Sprint(s.pid), "-m", "-p", "--", "systemctl"}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *system) do(args ...string) {
	s.t.Helper()
	if out, err := s.try(args...); err != nil {
		status, _ := s.try("status", "hello*")
		s.t.Fatalf("systemctl %v: %v\n%s\n%s", args, err, out, status)
	}
}

// show returns properties of a unit.
func (s *system) show(unit string) map[string]string {
	s.t.Helper()
	out, err := s.try("show", unit)
	if err != nil {
		s.t.Fatalf("systemctl show %s: %v\n%s", unit, err, out)
	}
	properties := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		properties[name] = value
	}
	return properties
}
