package reuseport

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"syscall"
	"testing"
)

// inNetNS is set in a test binary that runs in a network namespace of its own.
const inNetNS = "REUSEPORT_TEST_NETNS"

// inNamespace runs the calling test again in a child with its own network
// namespace, where it may use the firewall and the sysctls. It returns true in
// the child. An ordinary user gets a user namespace too.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNetNS) == "1" {
		command(t, "ip", "link", "set", "lo", "up")
		return true
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("missing tool: %v", err)
		}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+regexp.QuoteMeta(t.Name())+"$")
	cmd.Env = append(childEnv(), inNetNS+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOSPC) {
			t.Skipf("no network namespace for %s: %v", whoami(), err)
		}
		t.Fatal(err)
	case err != nil:
		t.Errorf("in its namespace: %v\n%s", err, out)
	case regexp.MustCompile(`(?m)^--- SKIP`).Match(out):
		t.Skipf("in its namespace:\n%s", out)
	}
	return false
}

func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprint("uid ", os.Geteuid())
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// loseACKs makes the third packet of every handshake with a port disappear,
// until the returned function is called.
func loseACKs(t *testing.T, port int) (stop func()) {
	t.Helper()
	command(t, "nft", "add table inet reuseport")
	command(t, "nft", "add chain inet reuseport in { type filter hook input priority 0; }")
	command(t, "nft", fmt.Sprintf("add rule inet reuseport in tcp dport %d tcp flags & (syn|ack) == ack drop", port))
	return func() {
		t.Helper()
		command(t, "nft", "delete table inet reuseport")
	}
}
