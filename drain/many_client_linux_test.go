package drain_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	connecting = 8   // at the same time, each from an address of its own
	batch      = 100 // of one of them, before it waits for answers

	// firstPort leaves most of the ports that the kernel offers to whoever else
	// wants one: a port that only some address uses is not free for a wildcard.
	firstPort = 54_000
)

// crowdOf has idle keep-alive connections to a server of its own.
type crowdOf struct {
	server *child
	groups []*group
}

// group are the connections from one address.
type group struct {
	*table
	from [4]byte
	fds  []int
}

func connectMany(t *testing.T, kind string, n int, r room) *crowdOf {
	t.Helper()
	c := &crowdOf{}
	t.Cleanup(c.close)
	for i := range max(connecting, r.tables(n)) {
		own, err := newTable(r.apart)
		if err != nil {
			t.Fatal(err)
		}
		c.groups = append(c.groups, &group{table: own, from: [4]byte{127, 0, 1, byte(i + 1)}})
	}
	// Only now: its pipes would be open in the tables too.
	args := []string{kind, r.String(), fmt.Sprint(n)}
	for i := range r.tables(n) {
		args = append(args, fmt.Sprintf("127.0.0.%d", i+1))
	}
	c.server = start(t, "server", args...)
	addrs := c.reply(t).Addrs
	errs := make(chan error)
	for i, g := range c.groups {
		share := (n + i) / len(c.groups) // n altogether
		go g.do(func() { errs <- g.connect(addrs, share) })
	}
	for range c.groups {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// connect fills one address of the server after the other, so that connections
// which are neighbours for drain are in one table, and threads change seldom.
func (g *group) connect(addrs []string, n int) error {
	for len(g.fds) < n {
		before := len(g.fds)
		for range min(batch, n-before) {
			fd, err := request(g.from, addrs[len(g.fds)*len(addrs)/n])
			if err != nil {
				return fmt.Errorf("connection %d: %w", len(g.fds), err)
			}
			g.fds = append(g.fds, fd)
		}
		for _, fd := range g.fds[before:] {
			if err := answered(fd); err != nil {
				return err
			}
		}
	}
	return nil
}

// request connects without Go's poller, which would want memory and time for
// each connection, and sends a request.
func request(from [4]byte, addr string) (fd int, err error) {
	a := netip.MustParseAddrPort(addr)
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	// A reset ends it, so that nothing of it is left in TIME_WAIT.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return -1, os.NewSyscallError("setsockopt SO_LINGER", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return -1, os.NewSyscallError("setsockopt IP_BIND_ADDRESS_NO_PORT", err)
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_LOCAL_PORT_RANGE, firstPort) // since Linux 6.3
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: from}); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}); err != nil {
		return -1, os.NewSyscallError("connect", err)
	}
	if _, err := unix.Write(fd, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		return -1, os.NewSyscallError("write", err)
	}
	return fd, nil
}

func answered(fd int) error {
	b := make([]byte, 512)
	n, err := unix.Read(fd, b)
	if err != nil {
		return os.NewSyscallError("read", err)
	}
	if !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 ") {
		return fmt.Errorf("answer %q", b[:n])
	}
	return nil
}

// close ends the connections, and then the server.
func (c *crowdOf) close() {
	for _, g := range c.groups {
		g.do(func() {
			for _, fd := range g.fds {
				unix.Close(fd)
			}
		})
		g.end()
	}
	c.groups = nil
	if c.server != nil {
		c.server.in.Close()
		io.Copy(io.Discard, c.server.out)
	}
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
	for _, g := range c.groups {
		g.do(func() {
			for _, fd := range g.fds {
				if k, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_DONTWAIT); k == 0 && err == nil {
					n++
				}
			}
		})
	}
	return n
}
