package reuseport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Steer decides who in the group receives new handshakes from now on, members
// of other processes included. It attaches a program through one of the
// listener's open sockets; the program stays when that socket closes, and
// whoever attaches last decides. Handshakes that have begun stay where they
// are.
//
// Each call replaces the program, even by an equal one, since another process
// may have attached its own in the meantime.
//
// The error matches errors.ErrUnsupported if the strategy cannot steer,
// net.ErrClosed if no socket is open, and fs.ErrPermission if eBPF was named in
// Options and the privilege is gone. A Selection out of bounds is refused. In
// each case the program is as it was.
func (l *Listener) Steer(sel Selection) error {
	if err := sel.validate(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var member syscall.Conn
	if len(l.sockets) > 0 {
		member = l.sockets[0]
	}
	strategy, err := steerThrough(member, l.strategy, l.fixed, sel)
	if err != nil {
		return fmt.Errorf("reuseport: steer %v: %w", l.addr, err)
	}
	l.strategy = strategy
	return nil
}

// steerThrough attaches a program through a member of the group, and returns
// the strategy that did it. Unless it is fixed, eBPF may weaken.
func steerThrough(member syscall.Conn, s Strategy, fixed bool, sel Selection) (Strategy, error) {
	if !s.Steers() {
		return s, fmt.Errorf("strategy %q: %w", s, errors.ErrUnsupported)
	}
	if member == nil {
		return s, net.ErrClosed
	}
	c, err := member.SyscallConn()
	if err != nil {
		return s, err
	}
	err = onFD(c, func(fd int) error { return attach(fd, s, sel) })
	if s == EBPF && !fixed && errors.Is(err, os.ErrPermission) {
		// The process had the privilege when Listen tried, and dropped it.
		s = CBPF
		err = onFD(c, func(fd int) error { return attach(fd, s, sel) })
	}
	return s, err
}
