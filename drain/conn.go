package drain

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a tracked connection.
type conn struct {
	net.Conn
	owner      *Conns
	prev, next *conn         // guarded by owner.mu
	fate       outcome       // guarded by owner.mu
	state      atomic.Uint64 // a stamp
	closed     atomic.Bool
	heard      atomic.Bool // bytes were read since this was last cleared
	http2      atomic.Bool

	// While retiring, the next Read that finds nothing reports io.EOF, so
	// that whoever serves the connection closes it. See retire.
	retiring atomic.Bool

	deadlines    sync.Mutex
	readDeadline time.Time // as the server set it
}

var _ net.Conn = (*conn)(nil)

// http2Preface begins every HTTP/2 connection (RFC 9113, section 3.4) and no
// HTTP/1 request.
var http2Preface = []byte("PRI * HTTP/2.0")

func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n > 0 && !c.heard.Load() {
			if bytes.HasPrefix(p[:n], http2Preface) {
				c.http2.Store(true)
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
	err := c.Conn.Close()
	c.owner.untrack(c)
	return err
}

// retire ends a connection that waits for a request, without a race: the
// pending Read is interrupted, and it alone decides. Had it read something, or
// is there something to read, the connection lives on. Only bytes that are
// still on the wire can be lost.
func (c *conn) retire() {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.retiring.Store(true)
	if _, st := c.owner.unstamp(c.state.Load()); c.heard.Load() || !st.waits() {
		c.retiring.Store(false)
		return
	}
	c.Conn.SetReadDeadline(time.Unix(1, 0))
}

// reprieve undoes retire.
func (c *conn) reprieve() {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	if c.retiring.Load() {
		c.retiring.Store(false)
		c.Conn.SetReadDeadline(c.readDeadline)
	}
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.readDeadline = t
	if c.retiring.Load() {
		return nil // it would undo retire; reprieve sets it
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(t)
}

// outcome tells how the connection ended; owner.mu is held.
func (c *conn) outcome() outcome {
	if c.fate == finished && c.retiring.Load() {
		return idled
	}
	return c.fate
}
