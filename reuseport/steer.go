package reuseport

import (
	"errors"
	"fmt"
	"net"
	"os"
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
// The error matches errors.ErrUnsupported if the strategy cannot steer, and
// net.ErrClosed if no socket is open.
func (l *Listener) Steer(sel Selection) error {
	if err := sel.validate(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.strategy.Steers() {
		return fmt.Errorf("reuseport: steer %v: strategy %q: %w", l.addr, l.strategy, errors.ErrUnsupported)
	}
	if len(l.sockets) == 0 {
		return fmt.Errorf("reuseport: steer %v: %w", l.addr, net.ErrClosed)
	}
	err := l.attach(l.strategy, sel)
	if l.strategy == EBPF && !l.fixed && errors.Is(err, os.ErrPermission) {
		// The process had the privilege when Listen tried, and dropped it.
		if err = l.attach(CBPF, sel); err == nil {
			l.strategy = CBPF
		}
	}
	if err != nil {
		return fmt.Errorf("reuseport: steer %v: %w", l.addr, err)
	}
	return nil
}

func (l *Listener) attach(s Strategy, sel Selection) error {
	c, err := l.sockets[0].SyscallConn()
	if err != nil {
		return err
	}
	return onFD(c, func(fd int) error { return attach(fd, s, sel) })
}
