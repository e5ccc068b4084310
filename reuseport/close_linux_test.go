package reuseport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// A hidden socket is refused to newcomers, as a closed one is, while what has
// begun goes on.
func TestHide(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		for _, m := range meetings() {
			t.Run(m.network+" from "+m.host, func(t *testing.T) {
				if m.host == "::1" {
					needIPv6(t)
				}
				l := open(t, m.network, m.listen, &Options{Strategy: s, Sockets: 2})
				addr := net.JoinHostPort(m.host, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
				steer(t, l, Selection{To: Range{0, 2}})
				queued := dial(t, addr)
				if err := l.Hide(); err != nil {
					t.Fatal(err)
				}
				if c, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("a hidden listener is connected to: %v, %v", c, err)
				}
				if group, err := l.Group(t.Context()); err != nil || len(group) != 2 {
					t.Errorf("the group is %v, %v", group, err)
				}
				go echo(l)
				if err := exchange(queued); err != nil {
					t.Errorf("what was queued before: %v", err)
				}
				for range 2 {
					if err := l.CloseLast(); err != nil {
						t.Error(err)
					}
				}
				if err := l.CloseLast(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("no socket is left: %v", err)
				}
			})
		}
	})
}

// Others are found through the rest of the list, whichever comes first in it.
func TestHiddenMember(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		for _, m := range meetings() {
			for hidden := range 2 {
				t.Run(fmt.Sprintf("%s from %s, member %d", m.network, m.host, hidden), func(t *testing.T) {
					if m.host == "::1" {
						needIPv6(t)
					}
					older := open(t, m.network, m.listen, &Options{Strategy: s})
					newer := open(t, m.network, older.Addr().String(), &Options{Strategy: s})
					members := []*Listener{older, newer}
					chosen := 1 - hidden
					steer(t, members[chosen], Selection{To: Range{chosen, 1}})
					if err := members[hidden].Hide(); err != nil {
						t.Fatal(err)
					}
					for range 10 {
						dial(t, net.JoinHostPort(m.host, fmt.Sprint(older.Addr().(*net.TCPAddr).Port)))
					}
					if q, err := members[chosen].Queues(); err != nil || q[0].Len != 10 {
						t.Errorf("the chosen one's queue is %v, %v", q, err)
					}
				})
			}
		}
	})
}

// A handshake whose SYN came before is finished by a hidden socket.
func TestHideHalfOpen(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, m := range meetings() {
		t.Run(m.network+" from "+m.host, func(t *testing.T) {
			if m.host == "::1" {
				needIPv6(t)
			}
			l := open(t, m.network, m.listen, nil)
			port := l.Addr().(*net.TCPAddr).Port
			passACKs := loseACKs(t, port)
			client := dial(t, net.JoinHostPort(m.host, fmt.Sprint(port)))
			if err := l.Hide(); err != nil {
				t.Fatal(err)
			}
			passACKs()
			go echo(l)
			if err := exchange(client); err != nil {
				t.Errorf("client: %v", err)
			}
			if left, err := l.Empty(soon(t), 0); err != nil {
				t.Errorf("empty: %+v, %v", left, err)
			}
		})
	}
}

// BenchmarkClose closes starved members of a group, one each time, under load,
// and reports how many connections were lost in all. Those of a member that is
// not hidden first are some in 100,000 closes, so let it make many:
//
//	go test -run='^$' -bench=Close/ -benchtime=300000x ./reuseport
func BenchmarkClose(b *testing.B) {
	b.Run("at once", func(b *testing.B) {
		closeStarved(b, func(l *Listener) error {
			for i := len(l.sockets) - 1; i >= 0; i-- {
				if err := l.sockets[i].Close(); err != nil {
					return err
				}
			}
			l.sockets = nil
			return nil
		})
	})
	b.Run("hidden", func(b *testing.B) {
		closeStarved(b, func(l *Listener) error {
			if err := errors.Join(l.Hide(), settle(b.Context())); err != nil { // one grace period for all
				return err
			}
			for l.Open() > 0 {
				if err := l.CloseLast(); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func closeStarved(b *testing.B, end func(*Listener) error) {
	const batch = 100
	lead, err := Listen(b.Context(), "tcp4", "127.0.0.1:0", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer lead.Close()
	if err := lead.Steer(Selection{To: Range{0, 1}}); err != nil {
		b.Skip(err)
	}
	go echo(lead)
	var lost, served atomic.Int64
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for b.Context().Err() == nil {
				c, err := net.Dial("tcp", lead.Addr().String())
				if err == nil {
					err = exchange(c.(*net.TCPConn))
					c.Close()
				}
				if err == nil {
					served.Add(1)
				} else if lead.Open() > 0 {
					lost.Add(1)
					b.Log(err)
				} else {
					return
				}
			}
		})
	}
	for n := 0; b.Loop(); n++ {
		if n%batch != 0 {
			continue
		}
		l, err := Listen(b.Context(), "tcp4", lead.Addr().String(), &Options{Sockets: batch})
		if err != nil {
			b.Fatal(err)
		}
		if err := end(l); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	lead.Close()
	clients.Wait()
	b.ReportMetric(float64(lost.Load()), "lost")
	b.ReportMetric(float64(served.Load()), "served")
}
