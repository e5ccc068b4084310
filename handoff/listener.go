package handoff

import (
	"context"
	"net"
	"strings"

	"github.com/graceport/graceport/reuseport"
)

// sockets are our own on one address, numbered from 0.
type sockets interface {
	Addr() net.Addr
	Strategy() reuseport.Strategy
	Open() int
	Inodes() ([]uint64, error)
	Queues() ([]reuseport.Queue, error)
	Empty(ctx context.Context, i int) (reuseport.Left, error)
	CloseLast() error
	Delivered(ctx context.Context) error
	Close() error
}

// group is sockets whose address has others too, among whom the kernel chooses.
type group interface {
	sockets
	Steer(reuseport.Selection) error
	Group(ctx context.Context) ([]reuseport.Socket, error)
	Moved(n int)
}

var (
	_ group   = (*reuseport.Listener)(nil)
	_ group   = (*reuseport.PacketConn)(nil)
	_ sockets = (*reuseport.UnixListener)(nil)
)

// listener is one address of this generation.
type listener struct {
	sockets
	// One of the two is set: a group that is steered, or a path that leads to
	// one socket or another.
	group group
	path  *reuseport.UnixListener

	name    string
	network string
	balance reuseport.Balance
	// below is how many sockets of the predecessor came before ours in the
	// group when we last steered it.
	below int
	// together says that our sockets' order in the group is not known, because
	// a predecessor died: its sockets closed in an order of the kernel's. They
	// can then only be closed all at once, while the group is steered to the
	// first of at least as many sockets of a successor.
	together bool
	// theirsTogether says the same of the predecessor's sockets.
	theirsTogether bool
}

// steers reports whether the group can be steered now.
func (l *listener) steers() bool {
	return l.group != nil && l.Strategy().Steers() && l.Open() > 0
}

// kind is what all the networks of one protocol have in common.
func kind(network string) string { return strings.TrimRight(network, "46") }

func (l *listener) info() (listenerInfo, error) {
	inodes, err := l.Inodes()
	return listenerInfo{Name: l.name, Network: l.network, Address: l.Addr().String(), Inodes: inodes, Together: l.together}, err
}

// sameAddress reports whether the other's listener is on our address.
func (l *listener) sameAddress(other listenerInfo) bool {
	return kind(other.Network) == kind(l.network) && other.Address == l.Addr().String()
}

func (g *Generation) listenerInfos() ([]listenerInfo, error) {
	var infos []listenerInfo
	for _, l := range g.listeners {
		info, err := l.info()
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// rounds is how many rounds it takes to close our sockets, one of a listener
// in each.
func (g *Generation) rounds() int {
	n := 1
	for _, l := range g.listeners {
		if l.together {
			return 1
		}
		n = max(n, l.Open())
	}
	return n
}
