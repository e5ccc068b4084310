package handoff

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A conversation is one side's end of a takeover. Lines are written by a
// goroutine of its own, so that a peer that reads slowly, or not at all,
// cannot hold up the state machine.
type conversation struct {
	conn net.Conn
	peer credentials
	out  chan message
	// rights is what descriptors arrive by, nil where none are expected.
	rights *rightsReader
	close  sync.Once
	// closing is closed to end the writer after what is queued.
	closing chan struct{}
	written chan struct{} // closed when the writer has ended
}

// outbox bounds the lines that wait for a slow peer; a takeover needs far
// fewer.
const outbox = 256

// flushTime bounds writing what is queued when a conversation ends.
const flushTime = time.Second

func newConversation(conn net.Conn, peer credentials) *conversation {
	return &conversation{conn: conn, peer: peer, out: make(chan message, outbox), closing: make(chan struct{}), written: make(chan struct{})}
}

// start reads lines from r, which may hold bytes that were read ahead of conn,
// and gives each to got. A line that is no message, or the end, goes to ended;
// after the former comes nothing but the end. Both are called from one
// goroutine.
func (c *conversation) start(r io.Reader, got func(message), ended func(error)) {
	go c.write()
	go func() {
		defer c.rights.close()
		lines := messageReader(r)
		for lines.Scan() {
			m, err := parseMessage(lines.Bytes())
			if err == nil {
				m.descriptors, err = c.rights.take(len(m.Files))
			}
			if err != nil {
				ended(err)
				c.discard(r)
				ended(io.EOF)
				return
			}
			got(m)
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			ended(fmt.Errorf("%w: a line of more than %d bytes", errMessage, maxLine))
			c.discard(r)
			ended(io.EOF)
		case err != nil:
			ended(err)
		default:
			ended(io.EOF)
		}
	}()
}

// discard waits for the end of a peer that does not speak the protocol, so that
// it can still read why it was refused.
func (c *conversation) discard(r io.Reader) {
	c.conn.SetReadDeadline(time.Now().Add(flushTime))
	io.Copy(io.Discard, io.LimitReader(r, maxLine))
}

// send queues a message. A nil conversation takes none, a peer that lets more
// than outbox lines wait is cut off.
func (c *conversation) send(m message) {
	if c == nil {
		m.descriptors.close()
		return
	}
	select {
	case c.out <- m:
		if isClosed(c.written) {
			c.drop()
		}
	default:
		m.descriptors.close()
		c.conn.Close()
	}
}

// drop closes the files of what nobody writes any more.
func (c *conversation) drop() {
	for {
		select {
		case m := <-c.out:
			m.descriptors.close()
		default:
			return
		}
	}
}

func (c *conversation) writeMessage(m message) error {
	defer m.descriptors.close()
	if len(m.descriptors) > 0 {
		return sendRights(c.conn, m.line(), m.descriptors)
	}
	_, err := c.conn.Write(m.line())
	return err
}

func (c *conversation) write() {
	defer func() {
		c.conn.Close()
		close(c.written)
		c.drop() // what was queued between the last look and now
	}()
	for {
		select {
		case m := <-c.out:
			if err := c.writeMessage(m); err != nil {
				c.shutdown() // what is queued fails too, and so closes its files
			}
		case <-c.closing:
			c.conn.SetWriteDeadline(time.Now().Add(flushTime))
			for {
				select {
				case m := <-c.out:
					if err := c.writeMessage(m); err != nil {
						return
					}
				default:
					return
				}
			}
		}
	}
}

// shutdown ends both directions, but lets the reader have what the peer wrote
// before: why it refused, for instance.
func (c *conversation) shutdown() {
	if conn, ok := c.conn.(*net.UnixConn); ok {
		conn.CloseWrite()
		conn.CloseRead()
	}
}

// hangUp sends what is queued and closes.
func (c *conversation) hangUp() {
	if c == nil {
		return
	}
	c.close.Do(func() {
		c.conn.SetWriteDeadline(time.Now().Add(flushTime)) // ends a Write under way
		close(c.closing)
	})
}

// flush hangs up and waits until what is queued was sent, or could not be.
func (c *conversation) flush() {
	if c == nil {
		return
	}
	c.hangUp()
	<-c.written
}
