package reuseport

import (
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
	hidden   []*net.TCPListener // see Hide
	strategy Strategy
}

var _ net.Listener = (*Listener)(nil)

// Addr returns the address of the group, as a *net.TCPAddr.
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
