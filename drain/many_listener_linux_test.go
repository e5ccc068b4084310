package drain_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listenApart listens at a free port of ip. The connections are in a table of
// their own.
func listenApart(ip string) (net.Listener, error) {
	ln, err := net.Listen("tcp", ip+":0")
	if err != nil {
		return nil, err
	}
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	t, err := newTable(true) // has a copy of file, of the same number
	return &apartListener{Listener: ln, file: file, raw: raw, table: t}, err
}

type apartListener struct {
	net.Listener
	file  *os.File // beneath Listener; a Listener's own SyscallConn does not wait
	raw   syscall.RawConn
	table *table

	accepted []*apartConn // for the next Accepts
}

// Accept waits as any other, and accepts into the table all there is, since
// changing to its thread costs more than the call. One goroutine may call it.
func (l *apartListener) Accept() (net.Conn, error) {
	for len(l.accepted) == 0 {
		var err error
		closed := l.raw.Read(func(ln uintptr) bool {
			l.table.do(func() { err = l.accept(int(ln)) })
			return err != unix.EAGAIN || len(l.accepted) > 0
		})
		if closed != nil {
			return nil, closed
		}
		if len(l.accepted) == 0 {
			return nil, os.NewSyscallError("accept4", err)
		}
	}
	c := l.accepted[0]
	l.accepted = l.accepted[1:]
	return c, nil
}

func (l *apartListener) accept(ln int) error {
	for range batch {
		fd, from, err := unix.Accept4(ln, unix.SOCK_CLOEXEC)
		if err != nil {
			return err
		}
		peer := from.(*unix.SockaddrInet4)
		c := &apartConn{table: l.table, fd: fd, local: l.Addr(),
			remote: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(peer.Addr), uint16(peer.Port)))}
		c.changed.L = &c.mu
		l.accepted = append(l.accepted, c)
	}
	return nil
}

// Close leaves the table to its connections, which may outlive the listener.
func (l *apartListener) Close() error {
	l.file.Close()
	return l.Listener.Close()
}

// apartConn is a connection whose client sends one request, which fits into one
// Read. Later Reads wait for Close or a deadline only, as all that is idle does.
type apartConn struct {
	table         *table
	fd            int // of the table; -1 once closed
	local, remote net.Addr

	mu                     sync.Mutex
	changed                sync.Cond
	asked, expired, closed bool
}

func (c *apartConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	for c.asked && !c.expired && !c.closed {
		c.changed.Wait()
	}
	expired, closed := c.expired, c.closed
	c.asked = c.asked || !expired && !closed
	c.mu.Unlock()
	switch {
	case closed:
		return 0, net.ErrClosed
	case expired:
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.call("read", func(fd int) (int, error) { return unix.Read(fd, p) })
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (c *apartConn) Write(p []byte) (int, error) {
	return c.call("write", func(fd int) (int, error) { return unix.Write(fd, p) })
}

// Close returns when the kernel has closed the connection.
func (c *apartConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	_, err := c.call("close", func(fd int) (int, error) {
		c.fd = -1
		return 0, unix.Close(fd)
	})
	return err
}

// call has f called on the descriptor.
func (c *apartConn) call(name string, f func(fd int) (int, error)) (n int, err error) {
	c.table.do(func() {
		if c.fd < 0 {
			err = net.ErrClosed
			return
		}
		n, err = f(c.fd)
		n, err = max(n, 0), os.NewSyscallError(name, err)
	})
	return n, err
}

// SetReadDeadline knows those that have passed, which interrupt a Read, and none.
func (c *apartConn) SetReadDeadline(t time.Time) error {
	if time.Until(t) > 0 {
		return errors.ErrUnsupported
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expired = !t.IsZero()
	c.changed.Broadcast()
	return nil
}

func (c *apartConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

func (c *apartConn) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		return errors.ErrUnsupported
	}
	return nil
}

func (c *apartConn) LocalAddr() net.Addr  { return c.local }
func (c *apartConn) RemoteAddr() net.Addr { return c.remote }

// SyscallConn is what drain asks the kernel through.
func (c *apartConn) SyscallConn() (syscall.RawConn, error) { return apartRawConn{c}, nil }

type apartRawConn struct{ conn *apartConn }

func (r apartRawConn) Control(f func(fd uintptr)) error {
	_, err := r.conn.call("control", func(fd int) (int, error) {
		f(uintptr(fd))
		return 0, nil
	})
	return err
}

func (apartRawConn) Read(func(fd uintptr) bool) error  { return errors.ErrUnsupported }
func (apartRawConn) Write(func(fd uintptr) bool) error { return errors.ErrUnsupported }
