package drain_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
	"golang.org/x/sys/unix"
)

const (
	// perAddress is how many connections one client address may have to one of
	// ours: the kernel offers 28,000 ports for it by default.
	perAddress = 20_000
	spare      = 500 // descriptors beside the connections
)

// crowdOf has n idle keep-alive connections to a server of its own.
type crowdOf struct {
	server *child
	fds    []int
}

func connectMany(t *testing.T, kind string, n int) *crowdOf {
	t.Helper()
	args := []string{kind}
	for i := range (n + perAddress - 1) / perAddress {
		args = append(args, fmt.Sprintf("127.0.0.%d", i+1))
	}
	c := &crowdOf{server: start(t, "server", args...), fds: make([]int, n)}
	t.Cleanup(c.close)
	addrs := c.reply(t).Addrs
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				fd, err := converse(addrs[i%len(addrs)])
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				c.fds[i] = fd
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// converse connects without Go's poller, which would want memory and time for
// each connection, and has one request answered.
func converse(addr string) (fd int, err error) {
	a := netip.MustParseAddrPort(addr)
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}); err != nil {
		return -1, os.NewSyscallError("connect", err)
	}
	if _, err := unix.Write(fd, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		return -1, os.NewSyscallError("write", err)
	}
	b := make([]byte, 512)
	n, err := unix.Read(fd, b)
	if err != nil {
		return -1, os.NewSyscallError("read", err)
	}
	if !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 ") {
		return -1, fmt.Errorf("answer %q", b[:n])
	}
	return fd, nil
}

func (c *crowdOf) close() {
	for _, fd := range c.fds {
		if fd > 0 {
			unix.Close(fd)
		}
	}
	c.fds = nil
}

func (c *crowdOf) ask(t *testing.T, command string) serverReply {
	t.Helper()
	io.WriteString(c.server.in, command+"\n")
	return c.reply(t)
}

func (c *crowdOf) reply(t *testing.T) (reply serverReply) {
	t.Helper()
	if err := json.Unmarshal([]byte(c.server.line(t)), &reply); err != nil {
		t.Fatal(err)
	}
	return reply
}

// ended counts the connections that the server has closed in good order.
func (c *crowdOf) ended() (n int) {
	for _, fd := range c.fds {
		if k, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_DONTWAIT); k == 0 && err == nil {
			n++
		}
	}
	return n
}

// allow raises the limit of descriptors, of this process and its children.
func allow(t *testing.T, n int) {
	t.Helper()
	need := uint64(n + spare)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(os.NewSyscallError("getrlimit", err))
	}
	if was.Cur >= need {
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: need, Max: max(was.Max, need)}); err != nil {
		t.Skipf("%d connections need %d descriptors, the limit is %d: %v", n, need, was.Max, os.NewSyscallError("setrlimit", err))
	}
	t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was) })
}

// TestManyConnections is with idle connections of an http.Server, as many as
// the limits of the machine let be.
func TestManyConnections(t *testing.T) {
	sizes := []int{15_000, many}
	if testing.Short() || raceEnabled {
		sizes = []int{manyShort}
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			allow(t, n)
			manyConnections(t, n)
		})
	}
}

func manyConnections(t *testing.T, n int) {
	bare := connectMany(t, "bare", n)
	without := bare.ask(t, "memory")
	bare.close()

	c := connectMany(t, "drain", n)
	with := c.ask(t, "memory")
	snap := c.ask(t, "snapshot")
	forced := c.ask(t, "force")
	t.Logf("%d connections: %.1f MB beyond the bare server's %.1f MB (of the system %.1f beyond %.1f), "+
		"a snapshot in %v, all closed by force in %v, of the processors %v", n, float64(with.Memory-without.Memory)/1e6,
		float64(without.Memory)/1e6, float64(with.Sys-without.Sys)/1e6, float64(without.Sys)/1e6, snap.Took, forced.Took, forced.CPU)
	if with.Memory-without.Memory > mostMemory {
		t.Errorf("drain uses %d bytes, want at most %d", with.Memory-without.Memory, mostMemory)
	}
	if snap.Open != (drain.States{Idle: n}) || snap.Took > mostForSnap {
		t.Errorf("a snapshot takes %v, want %v: %+v", snap.Took, mostForSnap, snap.Open)
	}
	// On a busy machine it takes longer than the processors work for it.
	slow := forced.Took > mostForForce && forced.CPU > mostForForce*time.Duration(runtime.NumCPU())
	if r := forced.Report; r.Closed != (drain.Outcomes{Forced: uint64(n)}) || forced.Open != (drain.States{}) || slow {
		t.Errorf("took %v, want %v; left open %+v, report %+v", forced.Took, mostForForce, forced.Open, r)
	}
	c.close()

	c = connectMany(t, "drain", n)
	r := c.ask(t, "drain").Report
	t.Logf("drained in %.2f s", r.Seconds)
	if r.Err() != nil || r.Closed != (drain.Outcomes{Idle: uint64(n)}) || r.Seconds < 1.9*manyGrace.Seconds() {
		t.Errorf("report %+v", r)
	}
	if ended := c.ended(); ended != n {
		t.Errorf("%d of %d clients saw the end", ended, n)
	}
}
