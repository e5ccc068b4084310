package reuseport

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"
)

// descriptor runs use with a descriptor of one of the listener's sockets.
func descriptor(t *testing.T, l *Listener, use func(fd int) error) error {
	t.Helper()
	c, err := l.sockets[0].SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return onFD(c, use)
}

// Each member's descriptor governs the whole group.
func TestSteerFD(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		a := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: s})
		b := join(t, a)
		for i, l := range []*Listener{a, b} {
			err := descriptor(t, l, func(fd int) error {
				return SteerFD(fd, s, Selection{To: Range{First: 1 - i, Count: 1}})
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				dial(t, a.Addr().String())
			}
			want := [][]int{{0, 10}, {10, 10}}[i]
			if got := queued(t, 10*(i+1), a, b); !slices.Equal(got, want) {
				t.Errorf("through member %d: queues %v, want %v", i, got, want)
			}
		}
	})
}

func TestSteerFDRefuses(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: CBPF})
	err := descriptor(t, l, func(fd int) error { return SteerFD(fd, None, Selection{To: Range{Count: 1}}) })
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("strategy none: %v", err)
	}
	if err := descriptor(t, l, func(fd int) error { return SteerFD(fd, CBPF, Selection{}) }); err == nil {
		t.Error("a selection of nothing is accepted")
	}
}

// What waits in another's queue is seen from outside, until it is taken or the
// socket is gone.
func TestEmptyFromOutside(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", nil)
	s := fromOutside(t, l)
	if left, err := s.Empty(soon(t)); err != nil || left != (Left{}) {
		t.Errorf("nothing came: %+v, %v", left, err)
	}
	dial(t, l.Addr().String())
	queued(t, 1, l)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if left, err := s.Empty(ctx); !errors.Is(err, context.DeadlineExceeded) || left != (Left{Queued: 1}) {
		t.Errorf("one waits: %+v, %v", left, err)
	}
	accept(t, l)
	if left, err := s.Empty(soon(t)); err != nil || left != (Left{}) {
		t.Errorf("it was accepted: %+v, %v", left, err)
	}
	dial(t, l.Addr().String())
	queued(t, 1, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Empty(soon(t)); err != nil || left != (Left{}) {
		t.Errorf("it has closed: %+v, %v", left, err)
	}
}

// fromOutside is the only socket of a listener as another process sees it.
func fromOutside(t *testing.T, l *Listener) Socket {
	t.Helper()
	all, err := Listening(t.Context(), "tcp", l.Addr().(*net.TCPAddr).Port)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}

// Unfinished handshakes are seen from outside too, however the client's
// address is written.
func TestEmptyFromOutsideWaitsForHalfOpen(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, m := range meetings() {
		t.Run(m.network+" from "+m.host, func(t *testing.T) {
			if m.host == "::1" {
				needIPv6(t)
			}
			l := open(t, m.network, m.listen, nil)
			s := fromOutside(t, l)
			port := l.Addr().(*net.TCPAddr).Port
			passACKs := loseACKs(t, port)
			client := dial(t, net.JoinHostPort(m.host, strconv.Itoa(port)))
			short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if left, err := s.Empty(short); left != (Left{HalfOpen: 1}) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one is half-open: %+v, %v", left, err)
			}
			passACKs()
			go echo(l)
			if err := exchange(client); err != nil {
				t.Errorf("the handshake that was waited for: %v", err)
			}
			if left, err := s.Empty(soon(t)); err != nil || left != (Left{}) {
				t.Errorf("it was accepted: %+v, %v", left, err)
			}
		})
	}
}

func TestSameGroup(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", nil)
	s := fromOutside(t, l)
	other, device := s, s
	other.Addr, device.Interface = fromOutside(t, open(t, "tcp4", "127.0.0.1:0", nil)).Addr, 1
	join(t, l)
	both, err := Listening(t.Context(), "tcp", l.addr.Port)
	if err != nil || len(both) != 2 {
		t.Fatalf("%v, %v", both, err)
	}
	if !both[0].SameGroup(both[1]) || s.SameGroup(other) || s.SameGroup(device) {
		t.Errorf("%+v, %+v, %+v", both, other, device)
	}
}
