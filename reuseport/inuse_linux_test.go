package reuseport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
)

// inUse expects Listen to fail because of one holder.
func inUse(t *testing.T, network, address string) (*InUseError, Holder) {
	t.Helper()
	l, err := Listen(t.Context(), network, address, nil)
	if err == nil {
		_ = l.Close()
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

// Services that do not set the option are found, whatever address they took,
// Multipath TCP or not.
func TestInUseWithoutOption(t *testing.T) {
	for _, mptcp := range []bool{false, true} {
		for _, address := range []string{"127.0.0.1:0", ":0"} {
			t.Run(fmt.Sprintf("%s mptcp %t", address, mptcp), func(t *testing.T) {
				var lc net.ListenConfig
				lc.SetMultipathTCP(mptcp)
				ln, err := lc.Listen(t.Context(), "tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = ln.Close() }()
				port := ln.Addr().(*net.TCPAddr).Port
				e, h := inUse(t, "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
				if h.OtherUser || h.PID != os.Getpid() || int(h.UID) != os.Geteuid() {
					t.Errorf("holder is %+v, want this process", h)
				}
				mustContain(t, e.Error(), "without SO_REUSEPORT", fmt.Sprintf("pid %d (", os.Getpid()))
			})
		}
	}
}

func TestInUseByOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to start a process of another user")
	}
	address := child(t, "hold", "127.0.0.1:0", "65534")
	e, h := inUse(t, "tcp4", address)
	if !h.OtherUser || h.UID != 65534 || h.PID == 0 {
		t.Errorf("holder is %+v, want the child of uid 65534", h)
	}
	mustContain(t, e.Error(), "uid 65534", "we are uid 0", fmt.Sprintf("pid %d (", h.PID))
}

// A socket that is bound and does not listen can be seen since Linux 6.8.
func TestInUseByBoundSocket(t *testing.T) {
	address := bindOnly(t)
	bindOnly(t) // of another port, and not to be blamed
	_, err := Listen(t.Context(), "tcp4", address, nil)
	var e *InUseError
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want *InUseError", err)
	}
	if len(e.Holders) > 1 {
		t.Errorf("holders are %v, want one", e.Holders)
	}
	for _, h := range e.Holders {
		if h.PID != os.Getpid() || h.Addr.String() != address {
			t.Errorf("holder is %+v, want this process on %s", h, address)
		}
	}
}

// bindOnly binds a port and does not listen.
func bindOnly(t *testing.T) (address string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
}

func TestConflicts(t *testing.T) {
	tests := []struct {
		network, want, has string
		v6only, conflict   bool
	}{
		{"tcp", "127.0.0.1", "127.0.0.1", false, true},
		{"tcp", "127.0.0.1", "127.0.0.2", false, false},
		{"tcp", "127.0.0.1", "0.0.0.0", false, true},
		{"tcp", "127.0.0.1", "::", false, true},
		{"tcp", "127.0.0.1", "::", true, false},
		{"tcp", "127.0.0.1", "::1", false, false},
		{"tcp", "::", "127.0.0.1", false, true},
		{"tcp", "::", "::", true, true},
		{"tcp4", "::", "::", true, false}, // an address without a host
		{"tcp4", "::", "127.0.0.1", false, true},
		{"tcp6", "::", "0.0.0.0", false, false},
		{"tcp6", "::", "::1", true, true},
		{"tcp6", "fe80::1%lo", "fe80::1", true, true},
	}
	for _, tt := range tests {
		s := Socket{Addr: netip.AddrPortFrom(netip.MustParseAddr(tt.has), 80), V6Only: tt.v6only}
		if got := s.conflicts(tt.network, netip.MustParseAddr(tt.want)); got != tt.conflict {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}

// Without a way to look for the holder the cause is still told.
func TestInUseUnexplained(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cause := &net.OpError{Op: "listen", Net: "tcp", Addr: &net.TCPAddr{Port: 1}, Err: syscall.EADDRINUSE}
	err := explain(ctx, "tcp", ":1", cause)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error is %v, want EADDRINUSE", err)
	}
	mustContain(t, err.Error(), "address already in use")
}
