package reuseport

import (
	"context"
	"net"
)

// member is what a takeover needs, whatever the protocol.
type member interface {
	Addr() net.Addr
	Strategy() Strategy
	Steer(Selection) error
	Open() int
	Inodes() ([]uint64, error)
	Queues() ([]Queue, error)
	Group(context.Context) ([]Socket, error)
	Empty(context.Context, int) (Left, error)
	CloseLast() error
	Moved(int)
	Delivered(context.Context) error
	Close() error
}

var (
	_ member = (*Listener)(nil)
	_ member = (*PacketConn)(nil)
)
