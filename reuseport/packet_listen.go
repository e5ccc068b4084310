package reuseport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ListenPacket opens a UDP socket on an address that others of the same user
// may hold too as long as they set SO_REUSEPORT. The network is udp, udp4 or
// udp6. bind(2) appends the socket to the address's group, where it receives at
// once unless a program that chooses others is attached. ListenPacket itself
// attaches none.
//
// It opens one socket, so Options.Sockets must be 0 or 1. A process that wants
// several calls it once for each, with the address that the first was given.
//
// The strategies are those of TCP without Migrate. Datagrams that a closing
// socket holds cannot move.
//
// ListenConfig.Control runs after SO_REUSEPORT is set and SO_REUSEADDR, which
// would let any user's socket share the address, is cleared. With port 0 it
// also runs for a socket that has neither and is closed again: the kernel would
// give one with SO_REUSEPORT the port of another group of the same user.
//
// A multicast address is refused: each member of its group receives every
// datagram, so there is nothing to choose.
//
// The errors, and what ctx bounds, are those of Listen. Migrate matches
// errors.ErrUnsupported.
func ListenPacket(ctx context.Context, network, address string, opts *Options) (*PacketConn, error) {
	if opts == nil {
		opts = &Options{}
	}
	switch network {
	case "udp", "udp4", "udp6":
	default:
		return nil, fmt.Errorf("reuseport: listen %s %s: %w", network, address, net.UnknownNetworkError(network))
	}
	if opts.Sockets != 0 && opts.Sockets != 1 {
		return nil, fmt.Errorf("reuseport: Options.Sockets is %d, but ListenPacket opens one socket: "+
			"call it once for each, with the address of the first", opts.Sockets)
	}
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().IsMulticast() {
		return nil, fmt.Errorf("reuseport: listen %s %s: every member of a group receives a multicast datagram, "+
			"so none can be chosen: use net.ListenMulticastUDP", network, address)
	}
	strategy, err := pickPacket(opts.Strategy)
	if err != nil {
		return nil, err
	}
	conn, err := opts.openPacket(ctx, network, address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, explain(ctx, network, address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reuseport: %w", err)
	}
	return &PacketConn{
		UDPConn:  conn,
		network:  network,
		addr:     conn.LocalAddr().(*net.UDPAddr),
		fixed:    opts.Strategy != "",
		strategy: strategy,
		done:     make(chan struct{}),
		changed:  make(chan struct{}),
	}, nil
}

// pickPacket is pick for UDP, which has nothing that could migrate.
func pickPacket(want Strategy) (Strategy, error) {
	if want == Migrate {
		return "", fmt.Errorf("reuseport: strategy %q is for TCP: %w", want, errors.ErrUnsupported)
	}
	s, err := pick(want)
	if s == Migrate {
		s = None
	}
	return s, err
}

// openPacket binds a member of a group.
func (o *Options) openPacket(ctx context.Context, network, address string) (*net.UDPConn, error) {
	lc := o.packetConfig()
	if _, port, err := net.SplitHostPort(address); err != nil || port != "0" && port != "" {
		return listenUDP(ctx, lc, network, address)
	}
	// A port of the kernel's choice is one without any socket only if it is
	// asked for without SO_REUSEPORT (udp_lib_lport_inuse in net/ipv4/udp.c).
	// Both share it once the option is set.
	var plain net.ListenConfig
	if o.ListenConfig != nil {
		plain = *o.ListenConfig
	}
	first, err := listenUDP(ctx, &plain, network, address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = first.Close() }()
	raw, err := first.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := shareable(raw); err != nil {
		return nil, err
	}
	return listenUDP(ctx, lc, network, first.LocalAddr().String())
}

func listenUDP(ctx context.Context, lc *net.ListenConfig, network, address string) (*net.UDPConn, error) {
	conn, err := lc.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// packetConfig is config without SO_REUSEADDR.
func (o *Options) packetConfig() *net.ListenConfig {
	var lc net.ListenConfig
	if o.ListenConfig != nil {
		lc = *o.ListenConfig
	}
	theirs := lc.Control
	lc.Control = func(network, address string, c syscall.RawConn) error {
		if err := exclusive(c); err != nil {
			return err
		}
		if theirs == nil {
			return nil
		}
		return theirs(network, address, c)
	}
	return (&Options{ListenConfig: &lc}).config()
}
