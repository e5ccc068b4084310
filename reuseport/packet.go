package reuseport

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// PacketConn is a UDP socket in a group. Its methods may be called from several
// goroutines at once.
//
// It has all methods of *net.UDPConn. Read through those of PacketConn, or
// through its SyscallConn: they know which datagrams are still being answered,
// so that Empty can wait for them. A read of the embedded UDPConn itself is not
// counted, and may end with a deadline that nobody set. A duplicate made by
// File keeps the socket in the group, and has to be closed first.
type PacketConn struct {
	*net.UDPConn
	network string
	addr    *net.UDPAddr
	fixed   bool // the strategy was named, and must not weaken

	done     chan struct{} // closed by Close
	stopping sync.Mutex    // held while Empty has stopped the readers

	mu       sync.Mutex
	strategy Strategy
	retired  bool // by CloseLast
	closed   bool

	inside   int           // reads that are under way
	out      int           // reads that gave something, and whose reader has not come back
	failed   int           // reads that gave an error, and whose reader has not come back
	held     int           // Holds that are not released
	parked   bool          // a reader found that nothing can come
	gate     chan struct{} // while the readers are stopped; closed when they may go on
	stops    uint64        // how often they were
	deadline time.Time     // of reads, as the caller set it
	changed  chan struct{} // closed when the deadline changes after CloseLast
}

var (
	_ net.PacketConn = (*PacketConn)(nil)
	_ net.Conn       = (*PacketConn)(nil)
	_ syscall.Conn   = (*PacketConn)(nil)
)

// Addr returns the address of the group, as a *net.UDPAddr.
func (c *PacketConn) Addr() net.Addr { return c.addr }

// Strategy returns the strategy in force. If ListenPacket picked it, it may
// weaken from EBPF to CBPF when Steer finds that the privilege to load programs
// is gone.
func (c *PacketConn) Strategy() Strategy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.strategy
}

// Steer decides who in the group receives datagrams from now on, members of
// other processes included, as Listener.Steer does for handshakes. There are no
// connections that would stay where they are: the next datagram of a client
// goes to whom the program chooses, and a Share is drawn for each datagram. The
// errors are those of Listener.Steer.
func (c *PacketConn) Steer(sel Selection) error {
	if err := sel.validate(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var member syscall.Conn
	if c.open() {
		member = c.UDPConn
	}
	strategy, err := steerThrough(member, c.strategy, c.fixed, sel)
	if err != nil {
		return fmt.Errorf("reuseport: steer %v: %w", c.addr, err)
	}
	c.strategy = strategy
	return nil
}

// Open returns 1, or 0 when the socket is closed.
func (c *PacketConn) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open() {
		return 1
	}
	return 0
}

func (c *PacketConn) open() bool { return !c.retired && !c.closed }

// Inodes returns the inode of the socket, or nothing when it is closed. It
// tells the socket from others in Group.
func (c *PacketConn) Inodes() ([]uint64, error) { return eachPacket(c, inodeOf) }

// Queues returns the receive queue of the socket, or nothing when it is closed.
// Its length and limit are in bytes of the kernel's memory, SO_RCVBUF being the
// limit: the kernel does not count datagrams.
func (c *PacketConn) Queues() ([]Queue, error) { return eachPacket(c, memoryOf) }

func eachPacket[T any](c *PacketConn, ask func(fd int) (T, error)) ([]T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open() {
		return nil, nil
	}
	v, err := of(c.UDPConn, ask)
	if err != nil {
		return nil, err
	}
	return []T{v}, nil
}

// Group returns the members of the socket's group, its own included, in no
// particular order. It needs no privilege. The error matches net.ErrClosed if the
// socket is closed.
//
// A member that connects is not counted, because it leaves the array (seen on
// Linux 6.18; older kernels may keep it there, so do not connect a member).
func (c *PacketConn) Group(ctx context.Context) ([]Socket, error) {
	if c.Open() == 0 {
		return nil, c.errSocket(0)
	}
	own, err := of(c.UDPConn, inodeOf)
	if err != nil {
		return nil, err
	}
	return groupOf(ctx, own, "udp"+family(c.addr.IP), c.addr.Port)
}

// Moved does nothing: there is only one socket, whose slot nobody here counts.
func (c *PacketConn) Moved(int) {}

// CloseLast closes the socket. Datagrams in its queue are lost, and replies
// fail with net.ErrClosed, so Empty it first. The member of the group with the
// highest index takes its slot.
//
// Reads block until Close or their deadline instead of returning an error: most
// services end when a read fails, and would take others down with them.
// Deadlines can be set until Close.
//
// The error matches net.ErrClosed if the socket is closed.
func (c *PacketConn) CloseLast() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open() {
		return c.errSocket(0)
	}
	c.retired = true
	c.vanish()
	return c.UDPConn.Close()
}

// vanish is for datagrams what Listener.vanish is for handshakes. A datagram that
// is being looked up in that very moment may still find the socket: binding it
// elsewhere takes it out of its group as closing does, right after it has become
// invisible, so there is no grace period to be had in between (udp_lib_rehash in
// net/ipv4/udp.c). Where it cannot be bound it closes as it is.
func (c *PacketConn) vanish() {
	if c.strategy.Steers() {
		_, _ = of(c.UDPConn, func(fd int) (struct{}, error) { return struct{}{}, bindNowhere(fd) })
	}
}

// Close closes the socket if it is open, and ends reads with net.ErrClosed. A
// second call does nothing.
func (c *PacketConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	open := c.open()
	c.closed = true
	close(c.done)
	if !open {
		return nil
	}
	return c.UDPConn.Close()
}

// errSocket says why there is no i-th open socket.
func (c *PacketConn) errSocket(i int) error {
	if i != 0 {
		return fmt.Errorf("reuseport: socket %d of %v: a PacketConn has one", i, c.addr)
	}
	return fmt.Errorf("reuseport: socket of %v: %w", c.addr, net.ErrClosed)
}
