package reuseport

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Hold keeps Empty waiting until release is called. A server that answers in
// another goroutine than the one that reads holds for each datagram, before it
// reads the next, and releases when the answer is sent. So does a reader that
// collects several datagrams. CloseLast and Close do not wait. Calling release
// again does nothing.
func (c *PacketConn) Hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.held--
	})
}

// Empty waits until nothing is left that was sent to the socket before the
// call: its queue is empty, every reader that got something has come back for
// more, and every Hold is released. So no answer is cut when the socket closes,
// which is the only way out of a group. Steer the group elsewhere first, or
// more arrives while it waits, and go on reading. The socket has the number 0.
//
// Goroutines cannot be told apart: one that reads for the first time while
// another answers is taken for that one, until all have been back at once. Start
// the readers before the socket receives, or Hold. One that ends after a read
// that failed, for instance at a deadline, may keep Empty waiting for nothing.
//
// When ctx ends, Empty returns what is left with an error that matches that of
// ctx. The socket is still open and nothing was lost. Left.Queued then counts
// datagrams as far as they are known: reads whose reader has not come back, Holds, and one more
// if the queue is not empty, since the kernel does not tell how many wait.
//
// The end of ctx may be noticed late by one RCU grace period of the kernel,
// usually some 10 ms. If the socket is closed, the error matches net.ErrClosed.
func (c *PacketConn) Empty(ctx context.Context, i int) (Left, error) {
	if i != 0 || c.Open() == 0 {
		return Left{}, c.errSocket(i)
	}
	left, err := c.empty(ctx)
	if err != nil {
		err = fmt.Errorf("reuseport: empty socket of %v: %w", c.addr, err)
	}
	return left, err
}

func (c *PacketConn) empty(ctx context.Context) (Left, error) {
	// A datagram that is being received may still have seen the old program.
	if err := settle(ctx); err != nil {
		left, _ := c.left()
		return left, err
	}
	for pause := newPause(); ; {
		left, err := c.left()
		if err == nil && left == (Left{}) {
			left, err = c.leftStopped(ctx)
		}
		if err != nil || left == (Left{}) {
			return left, err
		}
		if err := pause.wait(ctx); err != nil {
			return left, err
		}
	}
}

// left looks at what is known without disturbing anyone. It does not know of a
// datagram that recvmsg(2) has taken while its reader has yet to run.
func (c *PacketConn) left() (Left, error) {
	queued, err := of(c.UDPConn, readable)
	if err != nil {
		return Left{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.out + c.held
	if queued {
		n++
	}
	return Left{Queued: n}, nil
}

// leftStopped looks while no reader is at the socket. A reader that waits there
// is sent away by a deadline and comes back; one that has a datagram takes it
// along, and is then known to have it. Readers that take long to leave are let
// go on, and count as left.
func (c *PacketConn) leftStopped(ctx context.Context) (Left, error) {
	c.stopping.Lock()
	defer c.stopping.Unlock()
	c.mu.Lock()
	c.gate = make(chan struct{})
	c.stops++
	err := c.UDPConn.SetReadDeadline(time.Unix(1, 0))
	c.mu.Unlock()
	defer c.goOn()
	inside := 0
	for pause := newPause(); err == nil && pause.next < lastLook; err = pause.wait(ctx) {
		c.mu.Lock()
		inside = c.inside
		c.mu.Unlock()
		if inside == 0 {
			return c.left()
		}
	}
	return Left{Queued: inside}, err
}

// goOn lets the readers return to the socket.
func (c *PacketConn) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.UDPConn.SetReadDeadline(c.deadline) // fails only if it is closed
	close(c.gate)
	c.gate = nil
}

// Delivered waits until everything that the socket received has been answered:
// the socket was closed by CloseLast, a reader has found that nothing can come
// any more, every other reader has come back too, and every Hold is released.
//
// It returns the error of ctx when that ends first, for instance because nobody
// reads, and one that matches net.ErrClosed if Close was called before.
func (c *PacketConn) Delivered(ctx context.Context) error {
	for pause := newPause(); ; {
		c.mu.Lock()
		closed := c.closed
		delivered := c.retired && c.parked && c.out == 0 && c.held == 0
		c.mu.Unlock()
		if delivered {
			return nil
		}
		if closed {
			return c.errSocket(0)
		}
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}
