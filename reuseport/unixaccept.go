package reuseport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Accept returns the next connection, always a *net.UnixConn. An error such as
// EMFILE is returned and leaves the listener as it was. After CloseLast it
// blocks until Close, and then the error matches net.ErrClosed.
func (l *UnixListener) Accept() (net.Conn, error) {
	c, err := l.socket.Accept()
	if err != nil && errors.Is(err, net.ErrClosed) {
		l.parkOnce.Do(func() { close(l.parked) })
		<-l.done
		return nil, l.errClosed()
	}
	return c, err
}

// Delivered waits until every connection of the socket has been returned by
// Accept and Accept has been called again, which can only be after CloseLast.
// What that is good for, and its errors, are those of [Listener.Delivered].
func (l *UnixListener) Delivered(ctx context.Context) error {
	return delivered(ctx, l.parked, l.done, l.errClosed())
}

func (l *UnixListener) errClosed() error {
	return &net.OpError{Op: "accept", Net: l.addr.Net, Addr: l.addr, Err: net.ErrClosed}
}

// Queues returns the accept queue of the socket, and nothing if that is
// closed. When it is full, a client that does not wait, such as those of Go,
// fails with EAGAIN; one that waits looks the path up again when there is room.
func (l *UnixListener) Queues() ([]Queue, error) {
	return eachUnix(l, unixQueueOf)
}

// Inodes returns the inode of the socket, and nothing if that is closed. It is
// the one of [UnixSocket], and not that of the file.
func (l *UnixListener) Inodes() ([]uint64, error) {
	return eachUnix(l, inodeOf)
}

// eachUnix asks the socket, if it is open.
func eachUnix[T any](l *UnixListener, ask func(fd int) (T, error)) ([]T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		return []T{}, nil
	}
	v, err := of(l.socket, ask)
	if err != nil {
		return nil, err
	}
	return []T{v}, nil
}

// unixSettle is far longer than connect(2) takes from looking the path up to
// entering the queue.
const unixSettle = 10 * time.Millisecond

// Empty waits until the socket has nothing left that was sent to it before the
// call: until its queue is found empty twice, with time for a connect(2) that
// is under way before each look. Make the path lead elsewhere first, or more
// arrives while it waits, and go on accepting. i is 0. It takes 20 ms or more.
//
// The kernel does not list connects under way, so a client that stopped for
// longer in the middle of connect(2) finds nobody after CloseLast.
//
// When ctx ends, Empty returns what is left with an error that matches that of
// ctx. The socket is still open and nothing was lost. If it is closed, the error
// matches net.ErrClosed.
func (l *UnixListener) Empty(ctx context.Context, i int) (Left, error) {
	left, err := l.empty(ctx, i)
	if err != nil {
		err = fmt.Errorf("reuseport: empty socket %d of %v: %w", i, l.addr, err)
	}
	return left, err
}

func (l *UnixListener) empty(ctx context.Context, i int) (left Left, err error) {
	open := l.Open()
	switch {
	case open == 0:
		return left, net.ErrClosed
	case i != 0:
		return left, fmt.Errorf("only %d open", open)
	}
	err = emptyUnix(ctx, func() (n int, err error) {
		n, err = of(l.socket, unixQueued)
		left.Queued = n
		return n, err
	})
	return left, err
}

// emptyUnix looks until the queue was empty twice in a row.
func emptyUnix(ctx context.Context, queued func() (int, error)) error {
	for found := 0; found < 2; {
		p := pause{unixSettle}
		expired := p.wait(ctx)
		n, err := queued()
		if err != nil || expired != nil {
			return cmp.Or(err, expired)
		}
		found++
		if n > 0 {
			found = 0
		}
	}
	return nil
}
