package reuseport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Listener is one process's sockets in a group. They are numbered from 0 in
// the order of the group's array, which is that of their creation unless Moved
// says otherwise. The methods may be called from several goroutines at once.
type Listener struct {
	addr  *net.TCPAddr
	fixed bool // the strategy was named, and must not weaken

	only *net.TCPListener // set if there is one socket: Accept asks it directly

	// Several sockets have an acceptor each, started by the first Accept.
	acceptors []*net.TCPListener
	start     sync.Once
	accepting atomic.Int64  // acceptors that have not ended
	accepted  chan accepted // unbuffered: at most one connection in each hand
	finished  chan struct{} // closed when the last acceptor has ended

	parkOnce sync.Once
	parked   chan struct{} // closed when Accept finds that nothing can come
	done     chan struct{} // closed by Close

	mu       sync.Mutex
	closed   bool
	sockets  []*net.TCPListener // the open ones, in the order of the array
	strategy Strategy
}

var _ net.Listener = (*Listener)(nil)

// Addr returns the address of the group.
func (l *Listener) Addr() net.Addr { return l.addr }

// Strategy returns the strategy in force. If Listen picked it, it may weaken
// from EBPF to CBPF when Steer finds that the privilege to load programs is
// gone.
func (l *Listener) Strategy() Strategy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.strategy
}

// Open returns the number of sockets that are still open.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sockets)
}

// CloseLast closes the open socket with the highest number. Connections in its
// queue and handshakes that it began are reset, so Empty it first. The member
// of the group with the highest index takes its slot.
//
// Accept goes on with the sockets that remain. When none does, it blocks until
// Close instead of returning an error: most services end when Accept fails,
// and would cut the connections that they still serve.
//
// It returns net.ErrClosed if no socket is open.
func (l *Listener) CloseLast() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.sockets)
	if n == 0 {
		return fmt.Errorf("reuseport: close last socket of %v: %w", l.addr, net.ErrClosed)
	}
	ln := l.sockets[n-1]
	l.sockets = l.sockets[:n-1]
	return ln.Close()
}

// Close closes the sockets that are still open and ends Accept with
// net.ErrClosed. A connection that was accepted but not yet returned is
// closed. A second call does nothing.
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

// socket returns the i-th open socket.
func (l *Listener) socket(i int) (*net.TCPListener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.sockets) == 0:
		return nil, fmt.Errorf("reuseport: listener on %v: %w", l.addr, net.ErrClosed)
	case i < 0 || i >= len(l.sockets):
		return nil, fmt.Errorf("reuseport: socket %d of %v: only %d open", i, l.addr, len(l.sockets))
	}
	return l.sockets[i], nil
}
