package reuseport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
)

// Hide keeps new handshakes from finding a way through the listener's sockets,
// for good. Those that have begun finish, and Accept goes on. It is for sockets
// that are to be closed whatever happens: Hide, then Empty, then CloseLast, and
// what comes meanwhile is refused, or goes to other members of the group. Steer
// the group to those first: a hidden socket keeps its index, and a SYN for
// which the program chooses it is dropped.
//
// It fails for an ordinary user before Linux 5.7, and for one whose
// ListenConfig bound the sockets to a device. Sockets that were hidden before it
// failed stay so.
func (l *Listener) Hide() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.sockets {
		if err := l.hide(ln); err != nil {
			return fmt.Errorf("reuseport: hide %v: %w", l.addr, err)
		}
	}
	return nil
}

// hide binds a socket to a device that does not exist. The kernel looks for a
// listener in a list, asks the first that matches for its group, and skips one
// whose device is another (compute_score in net/ipv4/inet_hashtables.c).
// l.mu is held.
func (l *Listener) hide(ln *net.TCPListener) error {
	if slices.Contains(l.hidden, ln) {
		return nil
	}
	_, err := of(ln, func(fd int) (struct{}, error) { return struct{}{}, bindNowhere(fd) })
	if err == nil {
		l.hidden = append(l.hidden, ln)
	}
	return err
}

// vanish makes sure that no handshake comes to a socket because it is closing.
//
// A closing member leaves its group before it leaves the list. A SYN that finds
// it in between is told of no group and goes to the member itself, whatever the
// program says, to be reset (inet_unhash in net/ipv4/inet_hashtables.c and
// reuseport_select_sock in net/core/sock_reuseport.c). A list of IPv4 begins
// with the newest socket, one of IPv6 with the oldest. It takes some 100,000
// closes under load to see it. A socket that was hidden for a grace period is
// found by nobody.
func (l *Listener) vanish(ln *net.TCPListener) {
	l.mu.Lock()
	needed := l.strategy.Steers() && !slices.Contains(l.hidden, ln)
	if needed {
		needed = l.hide(ln) == nil
	}
	l.mu.Unlock()
	if needed {
		_ = settle(context.Background()) // fails only if its context ends
	}
}

// CloseLast closes the open socket with the highest number. Connections in its
// queue and handshakes that it began are reset, so Empty it first. The member
// of the group with the highest index takes its slot.
//
// If the strategy steers and Hide was not called, it takes an RCU grace period of
// the kernel, usually some 10 ms, in which the socket is open and hidden so that
// no handshake finds it closing.
//
// Accept goes on with the sockets that remain. When none does, it blocks until
// Close instead of returning an error: most services end when Accept fails,
// and would cut the connections that they still serve.
//
// The error matches net.ErrClosed if no socket is open. It is not to be called by
// two goroutines at once, nor beside Moved.
func (l *Listener) CloseLast() error {
	ln, err := l.socket(l.Open() - 1)
	if err != nil {
		return err
	}
	l.vanish(ln)

	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("reuseport: close last socket of %v: %w", l.addr, net.ErrClosed)
	}
	l.sockets = l.sockets[:len(l.sockets)-1]
	return ln.Close()
}

// Close closes the sockets that are still open at once and ends Accept with
// net.ErrClosed. A connection that was accepted but not yet returned is
// closed. What waits in the queues is reset. A second call does nothing.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	var errs []error
	for _, ln := range l.sockets {
		errs = append(errs, ln.Close())
	}
	l.sockets = nil
	return errors.Join(errs...)
}
