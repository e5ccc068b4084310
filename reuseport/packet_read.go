package reuseport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Read is ReadFrom without the address.
func (c *PacketConn) Read(b []byte) (n int, err error) {
	err = c.read(func() error { n, err = c.UDPConn.Read(b); return err })
	return n, err
}

// ReadFrom reads a datagram. What does not fit into b is lost. The error matches
// os.ErrDeadlineExceeded at the deadline and net.ErrClosed after Close; after
// CloseLast it blocks until one of the two.
func (c *PacketConn) ReadFrom(b []byte) (n int, addr net.Addr, err error) {
	err = c.read(func() error { n, addr, err = c.UDPConn.ReadFrom(b); return err })
	return n, addr, err
}

// ReadFromUDP is ReadFrom with a UDPAddr.
func (c *PacketConn) ReadFromUDP(b []byte) (n int, addr *net.UDPAddr, err error) {
	err = c.read(func() error { n, addr, err = c.UDPConn.ReadFromUDP(b); return err })
	return n, addr, err
}

// ReadFromUDPAddrPort is ReadFrom with an address that needs no allocation.
func (c *PacketConn) ReadFromUDPAddrPort(b []byte) (n int, addr netip.AddrPort, err error) {
	err = c.read(func() error { n, addr, err = c.UDPConn.ReadFromUDPAddrPort(b); return err })
	return n, addr, err
}

// ReadMsgUDP is ReadFromUDP with control messages, which go to oob, see
// net.UDPConn.
func (c *PacketConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	err = c.read(func() error { n, oobn, flags, addr, err = c.UDPConn.ReadMsgUDP(b, oob); return err })
	return n, oobn, flags, addr, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP with an address that needs no allocation.
func (c *PacketConn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	err = c.read(func() error { n, oobn, flags, addr, err = c.UDPConn.ReadMsgUDPAddrPort(b, oob); return err })
	return n, oobn, flags, addr, err
}

// SyscallConn implements syscall.Conn. Its Read is counted like the other
// reads, so packages that receive several datagrams in one system call may use
// it; what they receive at once counts as one. After CloseLast it blocks as they
// do.
func (c *PacketConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.UDPConn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return rawPacketConn{raw, c}, nil
}

type rawPacketConn struct {
	syscall.RawConn
	c *PacketConn
}

func (r rawPacketConn) Read(f func(fd uintptr) (done bool)) error {
	return r.c.read(func() error { return r.RawConn.Read(f) })
}

// SetDeadline sets the deadlines of reads and writes; the zero time means none.
func (c *PacketConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	if c.Open() == 0 {
		return nil // a write fails anyway
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of reads, which holds after CloseLast too.
// After Close the error matches net.ErrClosed.
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired && !c.closed {
		c.deadline = t
		close(c.changed)
		c.changed = make(chan struct{})
		return nil
	}
	if c.gate != nil { // it takes effect when the readers go on
		c.deadline = t
		return nil
	}
	if err := c.UDPConn.SetReadDeadline(t); err != nil {
		return err
	}
	c.deadline = t
	return nil
}

// read makes a call that reads the socket, and makes it again if only Empty
// ended it.
func (c *PacketConn) read(call func() error) error {
	for first := true; ; first = false {
		stops := c.enter(first)
		err := call()
		switch again := c.leave(stops, err); {
		case again:
		case err != nil && errors.Is(err, net.ErrClosed):
			return c.park()
		default:
			return err
		}
	}
}

// enter waits while readers are stopped. A reader that comes back has answered
// what it got last time, or it got nothing because its read failed. Goroutines
// cannot be told apart, so those that failed are taken to come back first, and
// one that reads for the first time is taken for another that still answers;
// that is put right when more come back than are missing.
func (c *PacketConn) enter(first bool) (stops uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !first:
	case c.failed > 0:
		c.failed--
	case c.out > 0:
		c.out--
	}
	for c.gate != nil {
		gate := c.gate
		c.mu.Unlock()
		<-gate
		c.mu.Lock()
	}
	c.inside++
	return c.stops
}

// leave reports whether the read was ended by a stop, and is to be made again.
func (c *PacketConn) leave(stops uint64, err error) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside--
	// If the caller's deadline has passed too, the next read tells.
	again = c.stops != stops && errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case err == nil:
		c.out++
	case !again:
		c.failed++
	}
	return again
}

// park blocks until Close or the deadline, because nothing can come.
func (c *PacketConn) park() error {
	for {
		c.mu.Lock()
		c.parked = true
		deadline, changed := c.deadline, c.changed
		c.mu.Unlock()
		var expired <-chan time.Time
		if !deadline.IsZero() {
			expired = time.After(time.Until(deadline))
		}
		select {
		case <-c.done:
			return c.errRead(net.ErrClosed)
		case <-expired:
			return c.errRead(os.ErrDeadlineExceeded)
		case <-changed:
		}
	}
}

func (c *PacketConn) errRead(err error) error {
	return &net.OpError{Op: "read", Net: c.network, Source: c.addr, Err: err}
}
