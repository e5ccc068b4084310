package drain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a tracked connection. What it holds is 144 bytes, a size class of the
// allocator: there may be many.
type conn struct {
	net.Conn
	from       *listener
	prev, next *conn           // guarded by Conns.mu
	base       context.Context // of its requests, see requestContext
	accepted   time.Duration   // since Conns.epoch
	state      atomic.Uint64   // a stamp

	mu             sync.Mutex
	readDeadline   time.Duration // as the server set it, since Conns.epoch; 0 is none
	method, target string        // of the last request

	closed atomic.Bool
	heard  atomic.Bool   // bytes were read since this was last cleared
	traits atomic.Uint32 // of its protocol, see trait

	// While retiring, the next Read that finds nothing reports io.EOF, so
	// that whoever serves the connection closes it. See retire.
	retiring atomic.Bool

	// Neither the server has set a read deadline nor retire.
	unbounded atomic.Bool

	fate   outcome // guarded by Conns.mu
	told   bool    // OnDrain was called; the sweeper's
	warned bool    // OnWarn was called; the sweeper's
}

var _ net.Conn = (*conn)(nil)

// A trait is never lost again.
type trait uint32

const (
	http2 trait = 1 << iota
	long        // a handler has asked for Context: its responses last until draining
)

func (c *conn) mark(t trait)    { c.traits.Or(uint32(t)) }
func (c *conn) is(t trait) bool { return c.traits.Load()&uint32(t) != 0 }

// http2Preface begins every HTTP/2 connection (RFC 9113, section 3.4) and no
// HTTP/1 request.
var http2Preface = []byte("PRI * HTTP/2.0")

func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n > 0 && !c.heard.Load() {
			if bytes.HasPrefix(p[:n], http2Preface) {
				c.mark(http2)
			}
			c.heard.Store(true)
		}
		// heard is stored before retiring is loaded, and retire does it the
		// other way round: one of the two sees the other.
		if !c.retiring.Load() {
			return n, err
		}
		switch {
		case n > 0:
			c.reprieve()
			return n, err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case waiting(c.Conn):
			c.reprieve()
		default:
			return 0, io.EOF
		}
	}
}

// Close closes the connection and ends its tracking. Calling it again does
// nothing.
func (c *conn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return nil
	}
	c.unbounded.Store(false) // so that SetReadDeadline tells
	err := c.Conn.Close()
	c.untrack()
	return err
}

// retire ends a connection that waits for a request, without a race: the
// pending Read is interrupted, and it alone decides. Had it read something, or
// is there something to read, the connection lives on. Only bytes that are
// still on the wire can be lost.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retiring.Store(true)
	if _, st := c.from.conns.unstamp(c.state.Load()); c.heard.Load() || !st.waits() {
		c.retiring.Store(false)
		return
	}
	c.bound(time.Unix(1, 0))
}

// reprieve undoes retire.
func (c *conn) reprieve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retiring.Load() {
		c.retiring.Store(false)
		var t time.Time
		if c.readDeadline != 0 {
			t = c.from.conns.epoch.Add(c.readDeadline)
		}
		c.bound(t)
	}
}

func (c *conn) SetReadDeadline(t time.Time) error {
	// net/http clears the deadline several times a request, set or not. Sparing
	// the locks of that pays for the rest of tracking.
	if t.IsZero() && c.unbounded.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readDeadline = 0
	if !t.IsZero() {
		c.readDeadline = t.Sub(c.from.conns.epoch)
	}
	if c.retiring.Load() {
		return nil // it would undo retire; reprieve sets it
	}
	return c.bound(t)
}

// bound sets the deadline beneath. c.mu is held.
func (c *conn) bound(t time.Time) error {
	c.unbounded.Store(false)
	err := c.Conn.SetReadDeadline(t)
	if t.IsZero() && err == nil {
		c.unbounded.Store(true)
	}
	return err
}

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(t)
}

// outcome tells how the connection ended; Conns.mu is held.
func (c *conn) outcome() outcome {
	if c.fate == finished && c.retiring.Load() {
		return idled
	}
	return c.fate
}
