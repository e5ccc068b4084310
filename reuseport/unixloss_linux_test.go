package reuseport

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// unixClients connect in a closed loop, a packet there and back each time, and
// sort what fails. They do not retry.
type unixClients struct {
	served atomic.Int64
	stop   chan struct{}
	group  sync.WaitGroup

	mu   sync.Mutex
	lost map[string]int
}

func startUnixClients(network, path string, n int) *unixClients {
	c := &unixClients{stop: make(chan struct{}), lost: map[string]int{}}
	for range n {
		c.group.Go(func() {
			for {
				select {
				case <-c.stop:
					return
				default:
				}
				err := oneUnixRequest(network, path)
				if err == nil {
					c.served.Add(1)
					continue
				}
				c.mu.Lock()
				c.lost[lossKind(err)]++
				c.mu.Unlock()
			}
		})
	}
	return c
}

func oneUnixRequest(network, path string) error {
	c, err := net.Dial(network, path)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{'x'}); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

func lossKind(err error) string {
	for _, e := range []error{
		fs.ErrNotExist, syscall.ECONNREFUSED, syscall.EAGAIN, syscall.ECONNRESET, syscall.EPIPE, os.ErrDeadlineExceeded,
	} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return err.Error()
}

// passed waits until n more requests have been served.
func (c *unixClients) passed(t *testing.T, n int64) {
	t.Helper()
	target := c.served.Load() + n
	eventually(t, "requests are served", func() bool { return c.served.Load() >= target })
}

func (c *unixClients) lostSome() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lost) > 0
}

func (c *unixClients) end() {
	close(c.stop)
	c.group.Wait()
}

// slowlyUnix takes its time between two connections, so that its queue is
// seldom empty.
type slowlyUnix struct{ *UnixListener }

func (l slowlyUnix) Accept() (net.Conn, error) {
	for start := time.Now(); time.Since(start) < 50*time.Microsecond; {
	}
	return l.UnixListener.Accept()
}

// serveUnix echoes until the test ends.
func serveUnix(t *testing.T, l *UnixListener) {
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	group.Go(func() { echo(slowlyUnix{l}) })
}

// unixLossOf replaces a listener again and again under load.
func unixLossOf(t *testing.T, network string, replace func(t *testing.T, old, successor *UnixListener)) (served int64, lost map[string]int) {
	t.Helper()
	const takeovers, between = 50, 20
	path := unixTemp(t)
	l := openUnix(t, network, path, "first")
	serveUnix(t, l)
	take(t, l)
	c := startUnixClients(network, path, 16)
	func() {
		defer c.end()
		for i := range takeovers {
			c.passed(t, between)
			successor := openUnix(t, network, path, fmt.Sprint(i))
			serveUnix(t, successor)
			replace(t, l, successor)
			l = successor
		}
		c.passed(t, between)
	}()
	names(t, path, "", fmt.Sprintf(".%d", takeovers-1))
	return c.served.Load(), c.lost
}

// emptyAndClose is the end of a predecessor that loses nothing.
func emptyAndClose(t *testing.T, old *UnixListener) {
	t.Helper()
	if left, err := old.Empty(soon(t), 0); err != nil {
		t.Fatalf("left %+v: %v", left, err)
	}
	if err := old.CloseLast(); err != nil {
		t.Fatal(err)
	}
	if err := old.Delivered(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func TestUnixNoLoss(t *testing.T) {
	eachUnixNetwork(t, func(t *testing.T, network string) {
		served, lost := unixLossOf(t, network, func(t *testing.T, old, successor *UnixListener) {
			take(t, successor)
			emptyAndClose(t, old)
		})
		if len(lost) > 0 {
			t.Errorf("lost %v, served %d", lost, served)
		}
		t.Logf("served %d", served)
	})
}

// The control: the same load finds the loss of a queue that is not emptied.
func TestUnixCloseWithQueueLoses(t *testing.T) {
	eachUnixNetwork(t, func(t *testing.T, network string) {
		served, lost := unixLossOf(t, network, func(t *testing.T, old, successor *UnixListener) {
			eventually(t, "something is queued", func() bool {
				qs, err := old.Queues()
				if err != nil {
					t.Fatal(err)
				}
				return qs[0].Len > 0
			})
			take(t, successor)
			if err := old.CloseLast(); err != nil {
				t.Fatal(err)
			}
		})
		if len(lost) == 0 {
			t.Error("lost nothing: the check cannot fail")
		}
		t.Logf("served %d, lost %v", served, lost)
	})
}

// switching leads a path to one listener and the other as fast as it can.
func switching(t *testing.T, network string, lead func(l *UnixListener) error, enough func(switches int, c *unixClients) bool) (switches int, c *unixClients) {
	t.Helper()
	path, old, successor := two(t, network)
	serveUnix(t, old)
	serveUnix(t, successor)
	c = startUnixClients(network, path, 16)
	defer c.end()
	eventually(t, "enough requests", func() bool {
		for _, l := range []*UnixListener{successor, old} {
			if err := lead(l); err != nil {
				t.Fatal(err)
			}
			switches++
		}
		return enough(switches, c)
	})
	return switches, c
}

// No client ever finds the path gone or leading to nobody.
func TestTakeIsAtomic(t *testing.T) {
	eachUnixNetwork(t, func(t *testing.T, network string) {
		switches, c := switching(t, network, (*UnixListener).Take, func(switches int, c *unixClients) bool {
			return switches > 2000 && c.served.Load() > 2000
		})
		if len(c.lost) > 0 {
			t.Errorf("lost %v, served %d", c.lost, c.served.Load())
		}
		t.Logf("served %d during %d switches", c.served.Load(), switches)
	})
}

// The control: clients notice a path that is removed and made again.
func TestRemoveAndLinkLoses(t *testing.T) {
	eachUnixNetwork(t, func(t *testing.T, network string) {
		remade := func(l *UnixListener) error {
			if err := os.Remove(l.addr.Name); err != nil {
				return err
			}
			return os.Link(l.own, l.addr.Name)
		}
		switches, c := switching(t, network, remade, func(_ int, c *unixClients) bool { return c.lostSome() })
		t.Logf("served %d during %d switches, lost %v", c.served.Load(), switches, c.lost)
	})
}
