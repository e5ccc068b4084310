package reuseport

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Each network reaches the clients that package net promises for it.
func TestListenNetworks(t *testing.T) {
	tests := []struct {
		network, address string
		v4, v6           bool
	}{
		{"tcp", ":0", true, true},
		{"tcp", "127.0.0.1:0", true, false},
		{"tcp", "localhost:0", true, false},
		{"tcp4", ":0", true, false},
		{"tcp6", ":0", false, true},
		{"tcp6", "[::1]:0", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.network+" "+tt.address, func(t *testing.T) {
			if tt.v6 {
				needIPv6(t)
			}
			l := open(t, tt.network, tt.address, nil)
			port := l.Addr().(*net.TCPAddr).Port
			for address, want := range map[string]bool{
				fmt.Sprintf("127.0.0.1:%d", port): tt.v4,
				fmt.Sprintf("[::1]:%d", port):     tt.v6,
			} {
				c, err := net.Dial("tcp", address)
				if want != (err == nil) {
					t.Errorf("dial %s: %v, want success: %t", address, err, want)
				}
				if err == nil {
					_ = c.Close()
				}
			}
		})
	}
}

func TestListenPortZeroManySockets(t *testing.T) {
	for _, network := range []string{"tcp", "tcp4", "tcp6"} {
		t.Run(network, func(t *testing.T) {
			if network == "tcp6" {
				needIPv6(t)
			}
			l := open(t, network, ":0", &Options{Sockets: 4})
			if l.Open() != 4 {
				t.Fatalf("%d sockets open, want 4", l.Open())
			}
			group, err := l.Group(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(group) != 4 {
				t.Errorf("group has %d members, want 4: %v", len(group), group)
			}
		})
	}
}

func TestListenChainsControl(t *testing.T) {
	calls, shared := 0, 0
	lc := &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		calls++
		return c.Control(func(fd uintptr) {
			shared, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT)
		})
	}}
	open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: 2, ListenConfig: lc})
	if calls != 2 {
		t.Errorf("Control ran %d times, want once for each of 2 sockets", calls)
	}
	if shared != 1 {
		t.Error("Control ran before SO_REUSEPORT was set")
	}

	refused := errors.New("refused by the caller")
	lc.Control = func(string, string, syscall.RawConn) error { return refused }
	if _, err := Listen(t.Context(), "tcp4", "127.0.0.1:0", &Options{ListenConfig: lc}); !errors.Is(err, refused) {
		t.Errorf("error is %v, want the one of Control", err)
	}
}

func TestListenLeavesConfigAlone(t *testing.T) {
	lc := &net.ListenConfig{}
	lc.SetMultipathTCP(true)
	l := open(t, "tcp4", "127.0.0.1:0", &Options{ListenConfig: lc})
	if !lc.MultipathTCP() || lc.Control != nil {
		t.Error("the caller's ListenConfig was changed")
	}
	// Attaching to a Multipath TCP listener would fail.
	steer(t, l, Selection{To: Range{Count: 1}})
}

func TestListenRefuses(t *testing.T) {
	tests := []struct {
		name, network, address string
		opts                   Options
		want                   string
	}{
		{"udp", "udp", "127.0.0.1:0", Options{}, "unknown network udp"},
		{"sockets", "tcp", "127.0.0.1:0", Options{Sockets: -1}, "Options.Sockets is -1"},
		{"strategy", "tcp", "127.0.0.1:0", Options{Strategy: "magic"}, `strategy "magic": unknown`},
		{"address", "tcp", "127.0.0.1:port", Options{}, "port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Listen(t.Context(), tt.network, tt.address, &tt.opts)
			if err == nil {
				_ = l.Close()
				t.Fatal("no error")
			}
			mustContain(t, err.Error(), tt.want)
		})
	}
}

// A named strategy is in force, or the error says why not.
func TestListenStrategy(t *testing.T) {
	for _, s := range byStrength() {
		l, err := Listen(t.Context(), "tcp4", "127.0.0.1:0", &Options{Strategy: s})
		if try(s) != nil {
			if err == nil {
				t.Errorf("%s: no error though it does not work", s)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if l.Strategy() != s {
			t.Errorf("strategy is %q, want %q", l.Strategy(), s)
		}
		if err := l.Steer(Selection{To: Range{Count: 1}}); s.Steers() != (err == nil) {
			t.Errorf("%s: steer: %v", s, err)
		} else if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: steer: %v does not match errors.ErrUnsupported", s, err)
		}
		_ = l.Close()
	}
	if l := open(t, "tcp4", "127.0.0.1:0", nil); !l.Strategy().Steers() {
		t.Errorf("picked %q though cbpf needs no privilege", l.Strategy())
	}
}
