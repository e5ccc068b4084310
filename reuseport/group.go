package reuseport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Socket is a listening TCP socket, or a UDP socket, of any process in the
// network namespace.
type Socket struct {
	Addr      netip.AddrPort // the local address; [::] takes IPv4 too unless V6Only
	V6Only    bool           // it takes no IPv4
	Interface uint32         // index of the interface that it is bound to, or 0
	UID       uint32         // who created it, as seen from our user namespace
	Inode     uint64         // as in the links of /proc/PID/fd
	Queue     Queue          // of a UDP socket, Len is bytes as in PacketConn.Queues, and Limit says nothing
}

// Owner finds a process that holds the socket, and the name of its command. It
// looks through /proc, where an ordinary user sees only processes of his own.
// ok is false if none was found.
func (s Socket) Owner() (pid int, command string, ok bool) { return owner(s.Inode) }

// Handshake is a connection that the kernel has answered with SYN-ACK and that
// the client has not confirmed.
type Handshake struct {
	Local  netip.AddrPort // that the client connects to
	Remote netip.AddrPort // the client's
	Cookie uint64         // unique until the machine restarts
}

// Listening returns the listening sockets on a TCP port, of IPv4 for the
// network tcp4, of IPv6 for tcp6, and of both for tcp. For udp, udp4 and udp6
// it returns the sockets on a UDP port that are not connected. It needs no
// privilege.
func Listening(ctx context.Context, network string, port int) ([]Socket, error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return nil, fmt.Errorf("reuseport: listening sockets: %w", net.UnknownNetworkError(network))
	}
	if port < 1 || port > 1<<16-1 {
		return nil, fmt.Errorf("reuseport: listening sockets: port %d, want 1 to 65535", port)
	}
	return listening(ctx, network, uint16(port))
}

// Group returns the members of the listener's group, its own included, in no
// particular order. It needs no privilege. The error matches net.ErrClosed if
// no socket is open.
func (l *Listener) Group(ctx context.Context) ([]Socket, error) {
	ln, err := l.socket(0)
	if err != nil {
		return nil, err
	}
	own, err := of(ln, inodeOf)
	if err != nil {
		return nil, err
	}
	return groupOf(ctx, own, l.network(), l.addr.Port)
}

// groupOf returns the members of the group of a socket of ours.
func groupOf(ctx context.Context, own uint64, network string, port int) ([]Socket, error) {
	all, err := listening(ctx, network, uint16(port))
	if err != nil {
		return nil, err
	}
	// The kernel's own description of a member of ours says what the others
	// must match.
	i := slices.IndexFunc(all, func(s Socket) bool { return s.Inode == own })
	if i < 0 {
		return nil, fmt.Errorf("reuseport: group of port %d: own socket is not listed in this network namespace", port)
	}
	self := all[i]
	return slices.DeleteFunc(all, func(s Socket) bool { return !s.SameGroup(self) }), nil
}

// HalfOpen returns the handshakes with the listener's address that have not
// finished, of all members of the group; those of the whole port if the address
// is a wildcard. It needs no privilege.
func (l *Listener) HalfOpen(ctx context.Context) ([]Handshake, error) {
	network := l.network()
	if network == "tcp6" {
		network = "tcp" // it may take IPv4 too
	}
	all, err := halfOpen(ctx, network, uint16(l.addr.Port))
	if err != nil {
		return nil, err
	}
	if l.addr.IP.IsUnspecified() {
		return all, nil
	}
	own := l.addr.AddrPort().Addr().Unmap().WithZone("")
	return slices.DeleteFunc(all, func(h Handshake) bool { return h.Local.Addr().Unmap() != own }), nil
}

// network returns the address family of the sockets.
func (l *Listener) network() string { return "tcp" + family(l.addr.IP) }

// family ends the name of a network. A socket on an IPv6 address is listed as
// IPv6 even if it takes IPv4 too.
func family(ip net.IP) string {
	if ip.To4() != nil {
		return "4"
	}
	return "6"
}

func isUDP(network string) bool { return strings.HasPrefix(network, "udp") }
