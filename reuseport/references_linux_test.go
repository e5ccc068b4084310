package reuseport

import (
	"fmt"
	"net"
	"testing"
)

func isIdle(t *testing.T, l *Listener, i int) bool {
	t.Helper()
	inodes, err := l.Inodes()
	if err != nil {
		t.Fatal(err)
	}
	return idle(l.addr.AddrPort().Addr().Unmap(), inodes[i])
}

// A socket is idle until a handshake begins and again when that is accepted, and
// nothing else that holds it is taken for one. TestHalfOpen has unfinished ones.
func TestIdle(t *testing.T) {
	for _, m := range meetings() {
		t.Run(m.network+" from "+m.host, func(t *testing.T) {
			if m.host == "::1" {
				needIPv6(t)
			}
			l := open(t, m.network, m.listen, &Options{Sockets: 2, Strategy: CBPF})
			steer(t, l, Selection{To: Range{First: 1, Count: 1}})
			port := l.addr.AddrPort().Port()
			for i := range 2 {
				if !isIdle(t, l, i) {
					t.Errorf("socket %d is new and not idle", i)
				}
			}
			dial(t, net.JoinHostPort(m.host, fmt.Sprint(port)))
			if !isIdle(t, l, 0) || isIdle(t, l, 1) {
				t.Error("one connection waits in socket 1, not in 0")
			}
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if !isIdle(t, l, 1) {
				t.Error("its only connection is accepted and it is not idle")
			}
		})
	}
}

func TestReferencesOfOthers(t *testing.T) {
	if n, err := references("/proc/thread-self/net/tcp", 0); err == nil {
		t.Errorf("no socket has %d references", n)
	}
	if _, err := references("/proc/no/such/table", 1); err == nil {
		t.Error("no table is no error")
	}
}
