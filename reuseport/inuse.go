package reuseport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// InUseError is a bind(2) that failed because the address is taken, with the
// sockets that take it. It matches syscall.EADDRINUSE.
type InUseError struct {
	Network string   // as given to Listen or ListenPacket
	Address string   // that was to be bound
	Holders []Holder // sockets on the port, as far as they could be found
	Err     error    // the error of net.ListenConfig, a *net.OpError
}

// Holder is a socket that keeps others from an address. The kernel lets two
// sockets share one only if both set SO_REUSEPORT before bind(2) and both were
// created by the same effective user.
type Holder struct {
	Addr    netip.AddrPort // the local address
	UID     uint32         // who created it, as seen from our user namespace
	PID     int            // 0 if /proc does not tell
	Command string         // the name of the process; empty if /proc does not tell
	// OtherUser is true if UID is not our effective user. Otherwise the socket
	// lacks SO_REUSEPORT.
	OtherUser bool
}

// Error names the address and what is known of each holder, with what to do.
func (e *InUseError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "reuseport: listen %s %s: address already in use", e.Network, e.Address)
	for i, h := range e.Holders {
		b.WriteString([]string{": held by ", "; and by "}[min(i, 1)])
		b.WriteString(h.String())
	}
	switch {
	case len(e.Holders) > 0:
	case isUDP(e.Network):
		b.WriteString(": by a socket that lacks SO_REUSEPORT or belongs to another user")
	default:
		b.WriteString(": by a socket that does not listen, lacks SO_REUSEPORT or belongs to another user")
	}
	return b.String()
}

// Unwrap returns the error of net.ListenConfig.
func (e *InUseError) Unwrap() error { return e.Err }

// String tells who holds the address, why it cannot be shared and what to do.
func (h Holder) String() string {
	who := "an unknown process"
	if h.PID != 0 {
		who = fmt.Sprintf("pid %d (%s)", h.PID, h.Command)
	}
	if h.OtherUser {
		return fmt.Sprintf("%s on %v as uid %d, while we are uid %d: run both as one user",
			who, h.Addr, h.UID, os.Geteuid())
	}
	return fmt.Sprintf("%s on %v with a socket without SO_REUSEPORT: stop it, or let it set the option", who, h.Addr)
}

// explain finds the holders of a taken address. It never hides the cause: if
// the holders cannot be found, the error has none.
func explain(ctx context.Context, network, address string, cause error) error {
	e := &InUseError{Network: network, Address: address, Err: cause}
	want, ok := boundAddr(cause)
	if !ok {
		return e
	}
	if want.Port() == 0 {
		return fmt.Errorf("reuseport: no free port: %w", cause)
	}
	sockets, err := bound(ctx, network, want.Port())
	if err != nil {
		return e
	}
	for _, s := range sockets {
		if !s.conflicts(network, want.Addr()) {
			continue
		}
		h := Holder{Addr: s.Addr, UID: s.UID, OtherUser: int(s.UID) != os.Geteuid()}
		if pid, command, ok := s.Owner(); ok {
			h.PID, h.Command = pid, command
		}
		e.Holders = append(e.Holders, h)
	}
	return e
}

// conflicts reports whether a socket can be what keeps others of a network
// from an address.
func (s Socket) conflicts(network string, want netip.Addr) bool {
	has := s.Addr.Addr().Unmap().WithZone("")
	want = want.Unmap().WithZone("")
	switch {
	case has.Is4() && strings.HasSuffix(network, "6"), s.V6Only && (strings.HasSuffix(network, "4") || want.Is4()):
		return false // one takes IPv4 only, the other IPv6 only
	}
	return has == want || has.IsUnspecified() || want.IsUnspecified()
}

// boundAddr returns the address that a failed bind(2) was about.
func boundAddr(err error) (netip.AddrPort, bool) {
	var op *net.OpError
	if !errors.As(err, &op) {
		return netip.AddrPort{}, false
	}
	var ip net.IP
	var addr netip.AddrPort
	switch a := op.Addr.(type) {
	case *net.TCPAddr:
		ip, addr = a.IP, a.AddrPort()
	case *net.UDPAddr:
		ip, addr = a.IP, a.AddrPort()
	default:
		return netip.AddrPort{}, false
	}
	if ip == nil {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port()), true
	}
	return addr, true
}
