package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/graceport/graceport/reuseport"
)

// ListenOptions adjusts ListenWith. The zero value, and nil, mean one socket.
type ListenOptions struct {
	// Name is shown in status and metrics. For port 0 it tells which listener of
	// the predecessor this one replaces. Empty means the network and address as
	// given. A second one of a name gets "#2", and so on.
	Name string
	// Sockets is the number of accept queues of a TCP address; 0 means 1. There
	// may be more, to replace those of a predecessor whose own predecessor died.
	Sockets int
	// Balance is how one of several sockets is chosen.
	Balance reuseport.Balance
	// Mode is the permission of a Unix socket; 0 leaves it to the umask.
	Mode fs.FileMode
	// ListenConfig is used for bind and listen, its Control after ours. nil
	// means its zero value.
	ListenConfig *net.ListenConfig
}

// Listen opens a socket on a TCP address (tcp, tcp4, tcp6), or for a path
// (unix, unixpacket). It gets no connection before Ready as long as a
// predecessor serves. Port 0 gets the port of the predecessor's listener of
// the same name, if it has one.
//
// But for passing errors such as EMFILE, the listener's Accept fails only after
// Close, its own or that of g. When a successor has taken over, the socket behind
// it is closed, and Accept blocks: most services end when Accept fails, and would
// cut the connections they are to drain.
//
// A path leads to one generation at a time: while a successor shares TCP and
// UDP, it leads to the predecessor. If the generation that it leads to dies,
// the kernel does not fall back to another as it does for TCP: connections are
// refused until the survivor has noticed and moved the path. Abstract names
// are refused, since they cannot be moved.
//
// It is an error to listen where sockets of a process that is no part of this
// takeover listen. The error names the process and matches [ErrStranger]. It
// matches [ErrRefused] if our takeover has failed and [ErrStopped] after Stop or
// Close; others are those of reuseport.Listen and reuseport.ListenUnix. It is also
// an error to listen once Ready was called.
func (g *Generation) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return g.ListenWith(ctx, network, address, nil)
}

// ListenWith is Listen with options.
func (g *Generation) ListenWith(ctx context.Context, network, address string, o *ListenOptions) (net.Listener, error) {
	if o == nil {
		o = &ListenOptions{}
	}
	var ln net.Listener
	err := g.listen(network, address, func() (l *listener, err error) {
		switch kind(network) {
		case "tcp":
			l, ln, err = g.listenTCP(ctx, network, address, o)
		case "unix", "unixpacket":
			l, ln, err = g.listenPath(ctx, network, address, o)
		default:
			err = net.UnknownNetworkError(network)
		}
		return l, err
	})
	return ln, err
}

// ListenPacket opens a socket on a UDP address (udp, udp4, udp6). It gets no
// datagram before Ready as long as a predecessor serves.
//
// Before the socket closes for a successor, its receive queue is read empty and
// every reader must have come back for more, or RetireTimeout passes: so a server
// that answers before it reads again answers everything. One that answers in other goroutines calls
// Hold for as long as an answer takes. Reads then block until Close, writes
// fail with net.ErrClosed. Datagrams are steered one by one: a protocol with
// connections of its own (QUIC) loses those that span a takeover.
//
// The errors are those of Listen.
func (g *Generation) ListenPacket(ctx context.Context, network, address string) (*reuseport.PacketConn, error) {
	return g.ListenPacketWith(ctx, network, address, nil)
}

// ListenPacketWith is ListenPacket with options, of which Sockets must be at
// most 1.
func (g *Generation) ListenPacketWith(ctx context.Context, network, address string, o *ListenOptions) (*reuseport.PacketConn, error) {
	if o == nil {
		o = &ListenOptions{}
	}
	var conn *reuseport.PacketConn
	err := g.listen(network, address, func() (l *listener, err error) {
		if kind(network) != "udp" {
			return nil, net.UnknownNetworkError(network)
		}
		l, conn, err = g.listenUDP(ctx, network, address, o)
		return l, err
	})
	return conn, err
}

// listen adds what open opens, and tells the predecessor.
func (g *Generation) listen(network, address string, open func() (*listener, error)) error {
	g.listening.Lock()
	defer g.listening.Unlock()
	err := g.add(nil)
	if err == nil {
		var l *listener
		if l, err = open(); err == nil {
			if err = g.add(l); err != nil {
				l.Close()
			}
		}
	}
	if err != nil {
		return fmt.Errorf("handoff: listen %s %s: %w", network, address, err)
	}
	g.do(func() {
		g.mu.Lock() // another Listen may be adding
		info, err := g.listenerInfos()
		g.mu.Unlock()
		if err == nil {
			g.loop.upper.send(message{Type: msgBound, Listeners: info})
		}
	})
	return nil
}

// add makes l one of our listeners, unless it is too late for any. With nil it
// only tells that.
func (g *Generation) add(l *listener) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.err != nil:
		return g.err
	case isClosed(g.closing):
		return ErrStopped
	case g.ready:
		return errors.New("all listeners are to be opened before Ready is called")
	}
	if l != nil {
		g.listeners = append(g.listeners, l)
	}
	return nil
}

func (g *Generation) listenTCP(ctx context.Context, network, address string, o *ListenOptions) (*listener, net.Listener, error) {
	l := &listener{name: g.listenerName(o.Name, network, address), network: network, balance: o.Balance}
	address, port, err := g.resolve(ctx, l.name, network, address)
	if err != nil {
		return nil, nil, err
	}
	together := g.closedTogether(port)
	ln, err := reuseport.Listen(ctx, network, address, &reuseport.Options{
		Sockets: max(o.Sockets, together), Strategy: g.cfg.Strategy, ListenConfig: o.ListenConfig,
	})
	if err != nil {
		return nil, nil, err
	}
	l.theirsTogether = together > 0
	return l, ln, g.join(ctx, l, ln)
}

func (g *Generation) listenUDP(ctx context.Context, network, address string, o *ListenOptions) (*listener, *reuseport.PacketConn, error) {
	l := &listener{name: g.listenerName(o.Name, network, address), network: network, balance: o.Balance}
	address, _, err := g.resolve(ctx, l.name, network, address)
	if err != nil {
		return nil, nil, err
	}
	conn, err := reuseport.ListenPacket(ctx, network, address, &reuseport.Options{
		Sockets: o.Sockets, Strategy: g.cfg.Strategy, ListenConfig: o.ListenConfig,
	})
	if err != nil {
		return nil, nil, err
	}
	return l, conn, g.join(ctx, l, conn)
}

// join makes l the sockets that were appended to their group, unless a
// stranger has come in between.
func (g *Generation) join(ctx context.Context, l *listener, own group) (err error) {
	l.sockets, l.group = own, own
	if l.below, err = g.checkAfter(ctx, l); err != nil {
		l.Close()
	}
	return err
}

// closedTogether is how many sockets the predecessor will close at once on
// this port, and so the least that we need, see listener.together.
func (g *Generation) closedTogether(port int) int {
	n := 0
	for _, theirs := range g.theirListeners() {
		if at, err := netip.ParseAddrPort(theirs.Address); err == nil && theirs.Together && int(at.Port()) == port {
			n = max(n, len(theirs.Inodes))
		}
	}
	return n
}

func (g *Generation) listenerName(name, network, address string) string {
	if name == "" {
		name = network + " " + address
	}
	for base, n := name, 2; slices.ContainsFunc(g.listeners, func(l *listener) bool { return l.name == name }); n++ {
		name = fmt.Sprintf("%s#%d", base, n)
	}
	return name
}

// resolve returns the address to bind: for port 0 with the predecessor's port.
// It refuses to disturb anybody who listens there.
func (g *Generation) resolve(ctx context.Context, name, network, address string) (string, int, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return "", 0, err
	}
	if port == 0 {
		if port, err = g.predecessorPort(name); err != nil {
			return "", 0, err
		}
		address = net.JoinHostPort(host, fmt.Sprint(port))
	}
	return address, port, g.checkBefore(ctx, network, address, port)
}

// predecessorPort is the port of its listener of that name, or 0.
func (g *Generation) predecessorPort(name string) (int, error) {
	for _, theirs := range g.theirListeners() {
		if theirs.Name != name {
			continue
		}
		at, err := netip.ParseAddrPort(theirs.Address)
		if err != nil {
			return 0, fmt.Errorf("the predecessor's listener %q: %w", name, err)
		}
		return int(at.Port()), nil
	}
	return 0, nil
}
