package reuseport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListenPacketRefuses(t *testing.T) {
	tests := []struct {
		name, network, address string
		opts                   *Options
		parts                  []string
	}{
		{"a network of connections", "tcp", "127.0.0.1:0", nil, []string{"unknown network tcp"}},
		{"several sockets", "udp", "127.0.0.1:0", &Options{Sockets: 2}, []string{"Options.Sockets is 2", "once for each"}},
		{"less than none", "udp", "127.0.0.1:0", &Options{Sockets: -1}, []string{"Options.Sockets is -1"}},
		{"a strategy of TCP", "udp", "127.0.0.1:0", &Options{Strategy: Migrate}, []string{`"migrate" is for TCP`}},
		{"an unknown strategy", "udp", "127.0.0.1:0", &Options{Strategy: "x"}, []string{`strategy "x"`}},
		{"no port", "udp", "127.0.0.1", nil, []string{"missing port"}},
		{"multicast", "udp4", "224.0.0.251:0", nil, []string{"multicast", "net.ListenMulticastUDP"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ListenPacket(t.Context(), tt.network, tt.address, tt.opts)
			if err == nil {
				_ = c.Close()
				t.Fatal("no error")
			}
			mustContain(t, err.Error(), append(tt.parts, "reuseport: ")...)
		})
	}
}

// The caller's Control runs too, and sees the options of a member of a group:
// SO_REUSEPORT, but not SO_REUSEADDR.
func TestListenPacketChainsControl(t *testing.T) {
	var seen []string
	refused := errors.New("refused")
	lc := &net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
		return onFD(c, func(fd int) error {
			port, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
			if err != nil {
				return err
			}
			addr, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR)
			if err != nil {
				return err
			}
			seen = append(seen, fmt.Sprint(network, " ", port, addr))
			if len(seen) > 2 {
				return refused
			}
			return nil
		})
	}}
	c := openPacket(t, "udp4", "127.0.0.1:0", &Options{ListenConfig: lc})
	if want := "[udp4 0 0 udp4 1 0]"; fmt.Sprint(seen) != want {
		t.Errorf("Control saw SO_REUSEPORT and SO_REUSEADDR as %v, want %s", seen, want)
	}
	if _, err := ListenPacket(t.Context(), "udp4", c.Addr().String(), &Options{ListenConfig: lc}); !errors.Is(err, refused) {
		t.Errorf("error is %v, want the one of Control", err)
	}
}

// onlyPort makes the kernel choose one certain port for port 0 (Linux 6.3).
func onlyPort(port int) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return onFD(c, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_LOCAL_PORT_RANGE, port|port<<16)
		})
	}
}

// With port 0 the kernel gives a socket with SO_REUSEPORT the port of another
// group of the same user: the control, without the detour, gets one.
func TestListenPacketFindsAFreePort(t *testing.T) {
	other := openPacket(t, "udp4", "127.0.0.1:0", nil)
	lc := &net.ListenConfig{Control: onlyPort(other.addr.Port)}
	opts := &Options{ListenConfig: lc}

	naive, err := opts.packetConfig().ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if errors.Is(err, unix.ENOPROTOOPT) {
		t.Skip("no IP_LOCAL_PORT_RANGE before Linux 6.3")
	}
	if err != nil {
		t.Fatalf("the control does not join the other group: %v", err)
	}
	_ = naive.Close()

	c, err := ListenPacket(t.Context(), "udp4", "127.0.0.1:0", opts)
	if err == nil {
		_ = c.Close()
		t.Fatalf("got %v, which another group is on", c.Addr())
	}
	var e *InUseError
	if !errors.Is(err, syscall.EADDRINUSE) || errors.As(err, &e) {
		t.Errorf("error is %v, want EADDRINUSE without a holder", err)
	}
	mustContain(t, err.Error(), "no free port")

	// The detour leaves nothing in the group, and the port can be steered.
	_ = other.Close()
	c = openPacket(t, "udp4", "127.0.0.1:0", opts)
	if c.addr.Port != other.addr.Port {
		t.Fatalf("port is %d, want %d", c.addr.Port, other.addr.Port)
	}
	if group, err := c.Group(t.Context()); err != nil || len(group) != 1 {
		t.Errorf("group is %v, %v, want one socket", group, err)
	}
	if c.Strategy().Steers() {
		steerPacket(t, c, Selection{To: Range{0, 1}})
	}
	send(t, c.Addr().String(), 3)
	tally(t, 3, c)
}

// packetInUse expects ListenPacket to fail because of one holder.
func packetInUse(t *testing.T, network, address string) (*InUseError, Holder) {
	t.Helper()
	c, err := ListenPacket(t.Context(), network, address, nil)
	if err == nil {
		_ = c.Close()
		t.Fatal("no error")
	}
	var e *InUseError
	if !errors.As(err, &e) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("error is %v, want *InUseError that matches EADDRINUSE", err)
	}
	if len(e.Holders) != 1 {
		t.Fatalf("holders are %v, want one", e.Holders)
	}
	return e, e.Holders[0]
}

// A socket without the option is found, whatever address it took, connected or
// not, and even if it set SO_REUSEADDR.
func TestPacketInUseWithoutOption(t *testing.T) {
	reuseAddr := func(_, _ string, c syscall.RawConn) error {
		return onFD(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	}
	for _, address := range []string{"127.0.0.1:0", ":0"} {
		for name, control := range map[string]func(string, string, syscall.RawConn) error{"plain": nil, "SO_REUSEADDR": reuseAddr} {
			t.Run(address+" "+name, func(t *testing.T) {
				holder, err := (&net.ListenConfig{Control: control}).ListenPacket(t.Context(), "udp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = holder.Close() }()
				port := holder.LocalAddr().(*net.UDPAddr).Port
				e, h := packetInUse(t, "udp4", fmt.Sprintf("127.0.0.1:%d", port))
				if h.OtherUser || h.PID != os.Getpid() || int(h.UID) != os.Geteuid() {
					t.Errorf("holder is %+v, want this process", h)
				}
				mustContain(t, e.Error(), "listen udp4", "without SO_REUSEPORT", fmt.Sprintf("pid %d (", os.Getpid()))
			})
		}
	}
	t.Run("connected", func(t *testing.T) {
		peer := openPacket(t, "udp4", "127.0.0.1:0", nil)
		client := dialPacket(t, peer.Addr().String())
		_, h := packetInUse(t, "udp4", client.LocalAddr().String())
		if h.PID != os.Getpid() || h.Addr.String() != client.LocalAddr().String() {
			t.Errorf("holder is %+v, want this process on %v", h, client.LocalAddr())
		}
	})
}

func TestPacketInUseByOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to start a process of another user")
	}
	address := child(t, "holdpacket", "127.0.0.1:0", "65534")
	e, h := packetInUse(t, "udp4", address)
	if !h.OtherUser || h.UID != 65534 || h.PID == 0 {
		t.Errorf("holder is %+v, want the child of uid 65534", h)
	}
	mustContain(t, e.Error(), "uid 65534", "we are uid 0", fmt.Sprintf("pid %d (", h.PID))
}

// A stream socket on the same port is none of UDP's business.
func TestPacketInUseNamesOnlyUDP(t *testing.T) {
	var taken error
	for range 10 { // somebody may have the port for TCP
		holder, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = holder.Close() }()
		l, err := Listen(t.Context(), "tcp4", holder.LocalAddr().String(), nil)
		if err != nil {
			taken = err
			continue
		}
		defer func() { _ = l.Close() }()
		packetInUse(t, "udp4", holder.LocalAddr().String())
		return
	}
	t.Errorf("no port is free for both: %v", taken)
}

// Without a way to look for the holder the cause is still told.
func TestPacketInUseUnexplained(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cause := &net.OpError{Op: "listen", Net: "udp", Addr: &net.UDPAddr{Port: 1}, Err: syscall.EADDRINUSE}
	err := explain(ctx, "udp", ":1", cause)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error is %v, want EADDRINUSE", err)
	}
	mustContain(t, err.Error(), "address already in use", "lacks SO_REUSEPORT or belongs")
}
