package reuseport

import (
	"context"
	"errors"
	"net"
)

// accepted is what one call of accept(2) gave.
type accepted struct {
	conn *net.TCPConn
	err  error
}

// Accept returns the next connection, always a *net.TCPConn. An error such as
// EMFILE is returned and leaves the listener as it was. When CloseLast has
// closed every socket it blocks until Close. After Close the error matches
// net.ErrClosed.
//
// With one socket Accept is accept(2) in the caller's goroutine. With several,
// the first call starts a goroutine for each.
func (l *Listener) Accept() (net.Conn, error) {
	if l.only != nil {
		c, err := l.only.Accept()
		if err != nil && errors.Is(err, net.ErrClosed) {
			return nil, l.park()
		}
		return c, err
	}
	l.start.Do(func() {
		for _, ln := range l.acceptors {
			go l.accept(ln)
		}
	})
	select {
	case a := <-l.accepted:
		if a.err != nil {
			return nil, a.err
		}
		return a.conn, nil
	case <-l.finished:
		return nil, l.park()
	case <-l.done:
		return nil, l.errClosed()
	}
}

// accept passes the connections of one socket on until that socket closes. It
// keeps hold of a connection beyond the end of its socket until it is taken.
func (l *Listener) accept(ln *net.TCPListener) {
	defer func() {
		if l.accepting.Add(-1) == 0 {
			close(l.finished)
		}
	}()
	for {
		c, err := ln.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case l.accepted <- accepted{c, err}:
		case <-l.done:
			if err == nil {
				_ = c.Close()
			}
			return
		}
	}
}

// park blocks until Close, because every socket is closed and nothing can
// come.
func (l *Listener) park() error {
	l.parkOnce.Do(func() { close(l.parked) })
	<-l.done
	return l.errClosed()
}

func (l *Listener) errClosed() error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
}

// Delivered waits until every connection of every socket has been returned by
// Accept and Accept has been called again, which can only be after the last
// socket was closed. A caller that accepts in one loop and registers each
// connection before it accepts the next has then registered all of them.
//
// An empty queue alone does not show that: accept(2) may have taken the last
// connection while the goroutine that called it has yet to run.
//
// It returns the error of ctx when that ends first, for instance because
// nobody calls Accept, and one that matches net.ErrClosed if Close was called
// before.
func (l *Listener) Delivered(ctx context.Context) error {
	return delivered(ctx, l.parked, l.done, l.errClosed())
}

// delivered waits for parked, and returns closed if done comes first.
func delivered(ctx context.Context, parked, done <-chan struct{}, closed error) error {
	select {
	case <-parked:
		return nil
	default:
	}
	select {
	case <-parked:
		return nil
	case <-done:
		return closed
	case <-ctx.Done():
		return ctx.Err()
	}
}
