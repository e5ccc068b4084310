package reuseport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// The ways in which a client can meet a listener.
func meetings() []struct{ network, listen, host string } {
	return []struct{ network, listen, host string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1"},
		{"tcp", ":0", "127.0.0.1"},
		{"tcp", ":0", "::1"},
	}
}

// TestHalfOpen shows that a handshake belongs to the listener that received
// its SYN: after the group is steered elsewhere, the connection lives if that
// listener waits, and dies if it does not.
func TestHalfOpen(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	every(t, func(t *testing.T, s Strategy) {
		for _, m := range meetings() {
			for _, wait := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s from %s waits %t", m.network, m.host, wait), func(t *testing.T) {
					leave(t, s, m.network, m.listen, m.host, wait)
				})
			}
		}
	})
}

func leave(t *testing.T, s Strategy, network, listen, host string, wait bool) {
	if host == "::1" {
		needIPv6(t)
	}
	old := open(t, network, listen, &Options{Strategy: s})
	steer(t, old, Selection{To: Range{0, 1}})
	port := old.Addr().(*net.TCPAddr).Port
	passACKs := loseACKs(t, port)
	client := dial(t, net.JoinHostPort(host, fmt.Sprint(port)))

	successor := open(t, network, old.Addr().String(), &Options{Strategy: s})
	steer(t, successor, Selection{To: Range{1, 1}})

	pending, err := successor.HalfOpen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(pending) != 1 || pending[0].Remote.Port() != client.LocalAddr().(*net.TCPAddr).AddrPort().Port() {
		t.Fatalf("half-open: %v, want the one of %v", pending, client.LocalAddr())
	}

	if isIdle(t, old, 0) || !isIdle(t, successor, 0) {
		t.Error("its references do not tell whose handshake it is")
	}

	if !wait {
		if err := old.CloseLast(); err != nil {
			t.Fatal(err)
		}
		passACKs()
		if err := exchange(client); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("closed at once: %v, want a reset: the check cannot fail", err)
		}
		return
	}

	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if left, err := old.Empty(short, 0); left != (Left{HalfOpen: 1}) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("empty: %+v, %v, want one half-open when time is up", left, err)
	}
	passACKs()
	go echo(old)
	if err := exchange(client); err != nil {
		t.Errorf("client: %v", err)
	}
	if left, err := old.Empty(soon(t), 0); err != nil {
		t.Errorf("empty: %+v, %v", left, err)
	}
	if err := old.CloseLast(); err != nil {
		t.Fatal(err)
	}
	go echo(successor)
	if err := exchange(dial(t, client.RemoteAddr().String())); err != nil {
		t.Errorf("next client: %v", err)
	}
}

// With the strategy migrate the kernel takes the handshake along.
func TestHalfOpenMigrates(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	if err := os.WriteFile(migrateSetting, []byte("1"), 0); err != nil {
		t.Skipf("the sysctl cannot be set: %v", err)
	}
	old := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: Migrate})
	passACKs := loseACKs(t, old.Addr().(*net.TCPAddr).Port)
	client := dial(t, old.Addr().String())
	successor := join(t, old)
	if err := old.CloseLast(); err != nil {
		t.Fatal(err)
	}
	passACKs()
	go echo(successor)
	if err := exchange(client); err != nil {
		t.Errorf("client: %v", err)
	}
}

// exchange sends a byte and waits for its return.
func exchange(c *net.TCPConn) error {
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{'x'}); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

// echo returns one byte to each client, until the listener closes. It is done
// with a client when that has gone.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			b := make([]byte, 1)
			if _, err := c.Read(b); err != nil {
				return
			}
			if _, err := c.Write(b); err != nil {
				return
			}
			_, _ = c.Read(b)
		}()
	}
}
