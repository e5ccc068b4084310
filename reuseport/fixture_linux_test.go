package reuseport

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// steering is every strategy that steers and works here.
func steering(t testing.TB) []Strategy {
	t.Helper()
	out := []Strategy{CBPF}
	switch err := try(EBPF); {
	case err == nil:
		out = append(out, EBPF)
	case errors.Is(err, os.ErrPermission):
		t.Logf("without ebpf: %v", err)
	default:
		t.Fatal(err)
	}
	return out
}

// open is Listen with a Close at the end of the test.
func open(t testing.TB, network, address string, opts *Options) *Listener {
	t.Helper()
	l, err := Listen(t.Context(), network, address, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

// join opens another listener in the group of the first.
func join(t testing.TB, l *Listener) *Listener {
	t.Helper()
	return open(t, "tcp", l.Addr().String(), &Options{Strategy: l.Strategy()})
}

func steer(t testing.TB, l *Listener, sel Selection) {
	t.Helper()
	if err := l.Steer(sel); err != nil {
		t.Fatal(err)
	}
}

// dial connects. Closing the connection resets it, so that many of them leave
// no port in TIME_WAIT.
func dial(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Timeout: 10 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	tc := c.(*net.TCPConn)
	t.Cleanup(func() { _ = tc.Close() })
	if err := tc.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	return tc
}

// queued returns the lengths of the queues of all listeners, once they add up
// to sum.
func queued(t testing.TB, sum int, ls ...*Listener) []int {
	t.Helper()
	var lens []int
	eventually(t, "the connections are queued", func() bool {
		lens = lens[:0]
		total := 0
		for _, l := range ls {
			qs, err := l.Queues()
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range qs {
				lens = append(lens, q.Len)
				total += q.Len
			}
		}
		return total == sum
	})
	return lens
}

// accept takes one connection.
func accept(t testing.TB, l *Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// soon returns a context that ends before the test runner loses patience.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// needIPv6 skips where the machine has no IPv6.
func needIPv6(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6: %v", err)
	}
	_ = ln.Close()
}

func mustContain(t testing.TB, s string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("%q does not contain %q", s, p)
		}
	}
}
