package handoff_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const namespaceEnv = "GRACEPORT_TEST_NAMESPACE"

// inNamespace runs the test again where it may use a firewall: in a network
// namespace of its own. It returns true there.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaceEnv) != "" {
		must(t, "ip", "link", "set", "lo", "up")
		return true
	}
	for _, tool := range []string{"unshare", "ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("missing tool: %v", err)
		}
	}
	flags := "-n"
	if os.Geteuid() != 0 {
		flags = "-rn"
	}
	if out, err := exec.Command("unshare", flags, "true").CombinedOutput(); err != nil {
		t.Skipf("no network namespace can be made: %v: %s", err, out)
	}
	cmd := exec.Command("unshare", flags, os.Args[0], "-test.v", "-test.run=^"+regexp.QuoteMeta(t.Name())+"$")
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("in its namespace: %v\n%s", err, out)
	} else if !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in its namespace no test ran:\n%s", out)
	}
	return false
}

func must(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// A client that has sent its SYN to the old generation, and whose ACK the
// network holds back across the takeover, is served by the old one. The
// control does not wait and loses it.
func TestHalfOpenAcrossTakeover(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, waits := range []bool{true, false} {
		t.Run(fmt.Sprintf("waits %t", waits), func(t *testing.T) {
			c := newService(t)
			c.Retire = time.Nanosecond
			if waits {
				c.Retire = 20 * time.Second
			}
			first := start(t, c)
			a := first.ready()
			port := a.addrs[0][strings.LastIndex(a.addrs[0], ":")+1:]
			must(t, "nft", "add table inet graceport")
			must(t, "nft", "add chain inet graceport in { type filter hook input priority 0; }")
			must(t, "nft", "add rule inet graceport in tcp dport "+port+" tcp flags & (syn|ack) == ack drop")
			client, err := net.Dial("tcp", a.addrs[0])
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()

			c.Addrs = a.addrs
			second := start(t, c)
			second.ready()
			if waits {
				eventually(t, "the old generation waits", func() bool {
					st, err := statusOf(c.Dir, "gen-1.sock")
					return err == nil && st.State == "retiring"
				})
			} else {
				first.wait()
			}
			must(t, "nft", "delete table inet graceport")

			generation, _, err := ask(client, bufio.NewReader(client), false)
			if !waits {
				if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("without waiting: generation %d, %v; want a reset: the check cannot fail", generation, err)
				}
				return
			}
			if err != nil || generation != 1 {
				t.Errorf("generation %d, %v; want an answer of generation 1", generation, err)
			}
			first.wait()
			leads(t, c.Dir, 2)
		})
	}
}
