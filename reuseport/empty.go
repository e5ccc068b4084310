package reuseport

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Left is what a socket still had when Empty stopped waiting. HalfOpen is 0
// except for TCP. For UDP, Queued counts datagrams, see [PacketConn.Empty].
type Left struct {
	Queued   int `json:"queued"`    // finished handshakes that wait for accept(2)
	HalfOpen int `json:"half_open"` // handshakes of the port that have not finished
}

// Empty waits until the i-th open socket has nothing left that was sent to it
// before the call: every handshake begun by then has finished or failed, and
// its queue is empty. Steer the group elsewhere first, or more arrives while it
// waits, and go on accepting. i begins at 0.
//
// Where the socket's references do not tell that nothing is left, as when more
// arrives all the time, Empty waits for all handshakes of the port that there are
// at the beginning: of those the kernel does not tell which socket they belong to.
//
// When ctx ends, Empty returns what is left with an error that matches that of
// ctx. The socket is still open and nothing was lost. The end of ctx may be
// noticed late by one RCU grace period of the kernel, usually some 10 ms. If no
// socket is open, the error matches net.ErrClosed.
func (l *Listener) Empty(ctx context.Context, i int) (Left, error) {
	ln, err := l.socket(i)
	if err != nil {
		return Left{}, err
	}
	inode, err := of(ln, inodeOf)
	if err != nil {
		return Left{}, err
	}
	left, err := (&emptying{
		settle:   settle,
		idle:     func() bool { return idle(l.addr.AddrPort().Addr().Unmap(), inode) },
		halfOpen: l.HalfOpen,
		queued: func() (int, error) {
			q, err := of(ln, queueOf)
			return q.Len, err
		},
	}).run(ctx)
	if err != nil {
		err = fmt.Errorf("reuseport: empty socket %d of %v: %w", i, l.addr, err)
	}
	return left, err
}

// Intervals between two looks. A look at the half-open handshakes walks the
// kernel's table of connections, so a long wait looks less often.
const (
	firstLook = time.Millisecond
	lastLook  = 50 * time.Millisecond

	// soonIdle is how long only the socket itself is looked at.
	soonIdle = 8 * firstLook
)

// emptying is one wait for a socket, with the kernel behind functions.
type emptying struct {
	settle   func(context.Context) error
	idle     func() bool // true only if nothing is left
	halfOpen func(context.Context) ([]Handshake, error)
	queued   func() (int, error)
}

func (e *emptying) run(ctx context.Context) (left Left, err error) {
	looked := false
	defer func() {
		if err == nil || ctx.Err() == nil {
			return
		}
		if !looked { // ctx ended before there was a list of what to wait for
			there, _ := e.halfOpen(context.WithoutCancel(ctx))
			left.HalfOpen = len(there)
		}
		left.Queued, _ = e.queued()
		err = ctx.Err()
	}()
	// A SYN on another CPU may still have seen the old program, and not yet
	// be listed.
	if err := e.settle(ctx); err != nil {
		return left, err
	}
	for pause := newPause(); pause.next < soonIdle; {
		if e.idle() {
			return left, nil
		}
		if err := pause.wait(ctx); err != nil {
			return left, err
		}
	}
	snapshot, err := e.halfOpen(ctx)
	if err != nil {
		return left, err
	}
	looked, left.HalfOpen = true, len(snapshot)
	for pause := newPause(); left.HalfOpen > 0; {
		if err := pause.wait(ctx); err != nil {
			return left, err
		}
		if e.idle() {
			return Left{}, nil
		}
		now, err := e.halfOpen(ctx)
		if err != nil {
			return left, err
		}
		snapshot = slices.DeleteFunc(snapshot, func(h Handshake) bool { return !slices.Contains(now, h) })
		left.HalfOpen = len(snapshot)
	}
	// A finished handshake leaves the list a moment before it enters the queue
	// (tcp_check_req in net/ipv4/tcp_minisocks.c).
	if err := e.settle(ctx); err != nil {
		return left, err
	}
	for pause := newPause(); ; {
		left.Queued, err = e.queued()
		if err != nil || left.Queued == 0 {
			return left, err
		}
		if err := pause.wait(ctx); err != nil {
			return left, err
		}
	}
}

// pause waits longer each time.
type pause struct{ next time.Duration }

func newPause() pause { return pause{firstLook} }

func (p *pause) wait(ctx context.Context) error {
	t := time.NewTimer(p.next)
	defer t.Stop()
	p.next = min(2*p.next, lastLook)
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
