package reuseport

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clients connect in a closed loop, one byte there and back each time, and
// count what fails. They do not retry.
type clients struct {
	served, lost atomic.Int64
	stop         chan struct{}
	group        sync.WaitGroup
}

func startClients(address string, n int) *clients {
	c := &clients{stop: make(chan struct{})}
	for range n {
		c.group.Go(func() {
			for {
				select {
				case <-c.stop:
					return
				default:
				}
				if err := oneRequest(address); err != nil {
					c.lost.Add(1)
				} else {
					c.served.Add(1)
				}
			}
		})
	}
	return c
}

func oneRequest(address string) error {
	d := net.Dialer{Timeout: 10 * time.Second}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return err
	}
	c := conn.(*net.TCPConn)
	defer func() { _ = c.Close() }()
	if err := c.SetLinger(0); err != nil {
		return err
	}
	return exchange(c)
}

func (c *clients) end() {
	close(c.stop)
	c.group.Wait()
}

// passed waits until n more connections have been served.
func (c *clients) passed(t *testing.T, n int64) {
	t.Helper()
	target := c.served.Load() + n
	eventually(t, "connections are served", func() bool { return c.served.Load() >= target })
}

// slowly is a listener that takes its time between two connections, so that
// its queue is seldom empty.
type slowly struct{ *Listener }

func (l slowly) Accept() (net.Conn, error) {
	for start := time.Now(); time.Since(start) < 50*time.Microsecond; {
	}
	return l.Listener.Accept()
}

// restart replaces a listener by a new one in its group, and returns that.
type restart func(t *testing.T, old *Listener) *Listener

// gracefully is the order of steps that loses nothing. Of several sockets, the
// number changes with each restart.
func gracefully(t *testing.T, old *Listener) *Listener {
	t.Helper()
	n, m := old.Open(), 1
	if n > 1 {
		m = 7 - n
	}
	opts := &Options{Sockets: m, Strategy: old.Strategy()}
	successor := open(t, "tcp4", old.Addr().String(), opts)
	serveSlowly(t, successor)
	steer(t, successor, Selection{To: Range{n, m}})
	for i := n - 1; i >= 0; i-- {
		if left, err := old.Empty(soon(t), i); err != nil {
			t.Fatalf("empty %d: %+v, %v", i, left, err)
		}
		if err := old.CloseLast(); err != nil {
			t.Fatal(err)
		}
		steer(t, successor, Selection{To: Range{i, m}})
	}
	successor.Moved(n)
	if err := old.Delivered(soon(t)); err != nil {
		t.Fatal(err)
	}
	return successor
}

// naively overlaps and closes, as plain SO_REUSEPORT does.
func naively(t *testing.T, old *Listener) *Listener {
	t.Helper()
	successor := open(t, "tcp4", old.Addr().String(), &Options{Strategy: None})
	serveSlowly(t, successor)
	eventually(t, "something is queued", func() bool {
		qs, err := old.Queues()
		if err != nil {
			t.Fatal(err)
		}
		return qs[0].Len > 0
	})
	if err := old.CloseLast(); err != nil {
		t.Fatal(err)
	}
	return successor
}

// serveSlowly echoes until the test ends.
func serveSlowly(t *testing.T, l *Listener) {
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	group.Go(func() { echo(slowly{l}) })
}

// lossOf restarts several times under load.
func lossOf(t *testing.T, first *Listener, how restart) (served, lost int64) {
	t.Helper()
	const restarts, between = 10, 300
	serveSlowly(t, first)
	c := startClients(first.Addr().String(), 16)
	defer c.end()
	for l, i := first, 0; i < restarts; i++ {
		c.passed(t, between)
		l = how(t, l)
	}
	c.passed(t, between)
	return c.served.Load(), c.lost.Load()
}

func TestNoLoss(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		both(t, func(t *testing.T, sockets int) {
			l := open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: sockets, Strategy: s})
			served, lost := lossOf(t, l, gracefully)
			if lost > 0 {
				t.Errorf("lost %d, served %d", lost, served)
			}
			t.Logf("served %d", served)
		})
	})
}

// The control: the same load finds the loss of a plain overlap.
func TestNaiveOverlapLoses(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: None})
	served, lost := lossOf(t, l, naively)
	if lost == 0 {
		t.Error("lost nothing: the check cannot fail")
	}
	t.Logf("served %d, lost %d", served, lost)
}
