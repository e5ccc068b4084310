package drain

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Close of a connection may block: tls.Conn says goodbye first. So no more
	// is waited for when none has closed for so long.
	closing = time.Second
	// A listener whose Accept outlives its Close can hold up a server.
	stuck = 250 * time.Millisecond

	closers = 16
)

// force closes everything and returns who was left.
func (c *Conns) force() (left []ConnInfo) {
	c.mu.Lock()
	servers := c.servers
	rest := make([]*conn, 0, c.open)
	for tc := c.list.next; tc != &c.list; tc = tc.next {
		tc.fate = forced
		rest = append(rest, tc)
	}
	c.mu.Unlock()
	left = infos(rest[:min(len(rest), maxListed)], time.Now())

	closed := begin(func() { closeAll(rest) })
	for before := len(rest) + 1; !within(closing, closed); {
		c.mu.Lock()
		open := c.open
		c.mu.Unlock()
		if open >= before {
			break
		}
		before = open
	}
	within(stuck, begin(func() {
		for _, s := range servers {
			s.Close()
		}
	}))
	c.awaitNone(stuck)
	return left
}

// awaitNone waits until no connection is open, at most d: of one that somebody
// else was just closing, our Close returns before it is counted.
func (c *Conns) awaitNone(d time.Duration) {
	expired := time.After(d)
	for {
		c.mu.Lock()
		open := c.open
		c.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-c.wake:
		case <-expired:
			return
		}
	}
}

// closeAll closes several at a time, because most of it is the kernel's work
// for one connection, and any may block.
func closeAll(conns []*conn) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(closers, len(conns)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(conns)); i = next.Add(1) - 1 {
				conns[i].Close()
			}
		})
	}
	wg.Wait()
}

// begin returns a channel that is closed when f has returned.
func begin(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// within reports whether done is closed within d.
func within(d time.Duration, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}
