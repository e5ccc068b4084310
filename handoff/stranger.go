package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/graceport/graceport/reuseport"
)

// checkBefore refuses to disturb anybody: it looks who listens on the port
// before anything is bound.
func (g *Generation) checkBefore(ctx context.Context, network, address string, port int) error {
	if port == 0 {
		return nil
	}
	ours, err := resolveAddr(ctx, network, address, port)
	if err != nil {
		return err
	}
	there, err := reuseport.Listening(ctx, network, port)
	if err != nil {
		return err
	}
	for _, s := range there {
		if !overlap(network, ours, s) {
			continue
		}
		if !g.known(s) {
			return strangerError(s)
		}
		// Which wildcard an empty host means is known after bind.
		if a := ours.Addr().Unmap(); a != s.Addr.Addr() && !(wild(a) && wild(s.Addr.Addr())) {
			return overlapError(s)
		}
	}
	return nil
}

// resolveAddr is the address that bind will choose. As in package net, a name is
// rather an IPv4 address where the network allows both.
func resolveAddr(ctx context.Context, network, address string, port int) (netip.AddrPort, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(port)), err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(ip, uint16(port)), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip"+strings.TrimPrefix(network, kind(network)), host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	i := max(slices.IndexFunc(ips, func(ip netip.Addr) bool { return ip.Unmap().Is4() }), 0)
	return netip.AddrPortFrom(ips[i], uint16(port)), nil
}

// overlap reports whether a connection could be meant for both.
func overlap(network string, ours netip.AddrPort, s reuseport.Socket) bool {
	a, b := ours.Addr().Unmap(), s.Addr.Addr().Unmap()
	wildA, wildB := wild(a), wild(b)
	v4only, v6only := strings.HasSuffix(network, "4") || a.Is4(), strings.HasSuffix(network, "6") || a.Is6() && !wildA
	if v4only && b.Is6() && (!wildB || s.V6Only) || v6only && b.Is4() {
		return false
	}
	return wildA || wildB || a == b
}

func wild(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }

func overlapError(s reuseport.Socket) error {
	return fmt.Errorf("the predecessor listens on %v, which overlaps: the kernel would prefer one of the two addresses whoever is ready; keep the address, or stop the predecessor first", s.Addr)
}

// checkAfter makes sure that nobody else came between checkBefore and bind. It
// returns the number of the predecessor's sockets in the group.
func (g *Generation) checkAfter(ctx context.Context, l *listener) (int, error) {
	own, err := l.Inodes()
	if err != nil {
		return 0, err
	}
	group, err := l.group.Group(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range group {
		if !slices.Contains(own, s.Inode) && !g.known(s) {
			return 0, strangerError(s)
		}
	}
	below := len(group) - len(own)
	if below > 0 {
		return below, nil
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	there, err := reuseport.Listening(ctx, l.network, int(at.Port()))
	if err != nil {
		return 0, err
	}
	for _, s := range there {
		if !slices.Contains(own, s.Inode) && g.known(s) && !g.ours(s) && overlap(l.network, at, s) {
			return 0, overlapError(s)
		}
	}
	return 0, nil
}

// known reports whether a socket is the predecessor's, or our own.
func (g *Generation) known(s reuseport.Socket) bool {
	if g.knownInode(s.Inode) || g.ours(s) {
		return true
	}
	pid, _, ok := s.Owner()
	return ok && g.silentPredecessor(pid)
}

// theirListeners are those that the predecessor has told of.
func (g *Generation) theirListeners() []listenerInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.welcome.Listeners
}

// knownInode reports whether the predecessor has named the socket.
func (g *Generation) knownInode(inode uint64) bool {
	return slices.ContainsFunc(g.theirListeners(), func(l listenerInfo) bool { return slices.Contains(l.Inodes, inode) })
}

// silentPredecessor reports whether the process is a predecessor that told us
// nothing.
func (g *Generation) silentPredecessor(pid int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.welcome.Type == "" && g.upperPeer.pid != 0 && pid == g.upperPeer.pid
}

func (g *Generation) ours(s reuseport.Socket) bool {
	return slices.ContainsFunc(g.listeners, func(l *listener) bool {
		own, err := l.Inodes()
		return err == nil && slices.Contains(own, s.Inode)
	})
}

// ErrStranger is matched when a process that is no part of the takeover listens
// on an address. The text names the process and says what to do.
var ErrStranger = errors.New("another process listens there")

func strangerError(s reuseport.Socket) error {
	pid, command, ok := s.Owner()
	if !ok {
		command = fmt.Sprintf("of uid %d", s.UID)
	}
	return strangerOf(s.Addr.String(), pid, command)
}

func strangerOf(address string, pid int, command string) error {
	who := command
	if pid != 0 {
		who = fmt.Sprintf("%d (%s)", pid, command)
	}
	return fmt.Errorf("%w: %s belongs to process %s, which this control directory does not know: stop it, or use its control directory",
		ErrStranger, address, who)
}
