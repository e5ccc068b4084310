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

// ListenOptions adjusts ListenWith. The zero value, and nil, mean one socket.
type ListenOptions struct {
	// Name tells which listener of the predecessor this one replaces, for
	// port 0 only. Empty means the network and address as given.
	Name string
	// Sockets is the number of accept queues; 0 means 1.
	Sockets int
	// Balance is how one of the sockets is chosen.
	Balance reuseport.Balance
	// ListenConfig is used for bind and listen, its Control after ours.
	ListenConfig *net.ListenConfig
}

// listener is one address of this generation.
type listener struct {
	*reuseport.Listener
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

// Listen opens a socket on a TCP address, which gets no connection before
// Ready as long as a predecessor serves. Port 0 gets the port of the
// predecessor's listener of the same name, if it has one.
//
// The listener's Accept fails only after Close. When a successor has taken
// over, the socket behind it is closed, and Accept blocks: most services end
// when Accept fails, and would cut the connections they are to drain.
//
// It is an error to listen where sockets of a process that is no part of this
// takeover listen. The error names the process.
func (g *Generation) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return g.ListenWith(ctx, network, address, nil)
}

// ListenWith is Listen with options.
func (g *Generation) ListenWith(ctx context.Context, network, address string, o *ListenOptions) (net.Listener, error) {
	ln, err := g.listen(ctx, network, address, o)
	if err != nil {
		return nil, fmt.Errorf("handoff: listen %s %s: %w", network, address, err)
	}
	g.do(func() {
		if info, err := g.listenerInfos(); err == nil {
			g.loop.upper.send(message{Type: msgBound, Listeners: info})
		}
	})
	return ln, nil
}

func (g *Generation) listen(ctx context.Context, network, address string, o *ListenOptions) (*reuseport.Listener, error) {
	if o == nil {
		o = &ListenOptions{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil, g.err
	}
	if g.ready {
		return nil, errors.New("all listeners are to be opened before Ready is called")
	}
	l := &listener{name: g.listenerName(o.Name, network, address), network: network, balance: o.Balance}
	address, port, err := g.resolve(ctx, l.name, network, address)
	if err != nil {
		return nil, err
	}
	if err := g.checkBefore(ctx, network, address, port); err != nil {
		return nil, err
	}
	l.Listener, err = reuseport.Listen(ctx, network, address, &reuseport.Options{
		Sockets: max(o.Sockets, g.closedTogether(port)), Strategy: g.cfg.Strategy, ListenConfig: o.ListenConfig,
	})
	if err != nil {
		return nil, err
	}
	below, err := g.checkAfter(ctx, l)
	if err != nil {
		l.Close()
		return nil, err
	}
	l.below = below
	l.theirsTogether = g.closedTogether(port) > 0
	g.listeners = append(g.listeners, l)
	return l.Listener, nil
}

// closedTogether is how many sockets the predecessor will close at once on
// this port, and so the least that we need, see listener.together.
func (g *Generation) closedTogether(port int) int {
	n := 0
	for _, theirs := range g.welcome.Listeners {
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
func (g *Generation) resolve(ctx context.Context, name, network, address string) (string, int, error) {
	if !strings.HasPrefix(network, "tcp") {
		return "", 0, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return "", 0, err
	}
	if port != 0 {
		return address, port, nil
	}
	for _, theirs := range g.welcome.Listeners {
		if theirs.Name != name {
			continue
		}
		at, err := netip.ParseAddrPort(theirs.Address)
		if err != nil {
			return "", 0, fmt.Errorf("the predecessor's listener %q: %w", name, err)
		}
		return net.JoinHostPort(host, fmt.Sprint(at.Port())), int(at.Port()), nil
	}
	return address, 0, nil
}

// checkBefore refuses to disturb anybody: it looks who listens on the port
// before anything is bound.
func (g *Generation) checkBefore(ctx context.Context, network, address string, port int) error {
	if port == 0 {
		return nil
	}
	local, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return err
	}
	ours := local.AddrPort()
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

// overlap reports whether a connection could be meant for both.
func overlap(network string, ours netip.AddrPort, s reuseport.Socket) bool {
	a, b := ours.Addr().Unmap(), s.Addr.Addr().Unmap()
	wildA, wildB := wild(a), wild(b)
	v4only, v6only := network == "tcp4" || a.Is4(), network == "tcp6" || a.Is6() && !wildA
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
	group, err := l.Group(ctx)
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
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, nil
	}
	there, err := reuseport.Listening(ctx, l.network, at.Port)
	if err != nil {
		return 0, err
	}
	for _, s := range there {
		if !slices.Contains(own, s.Inode) && g.known(s) && !g.ours(s) && overlap(l.network, at.AddrPort(), s) {
			return 0, overlapError(s)
		}
	}
	return 0, nil
}

// known reports whether a socket is the predecessor's, or our own.
func (g *Generation) known(s reuseport.Socket) bool {
	for _, l := range g.welcome.Listeners {
		if slices.Contains(l.Inodes, s.Inode) {
			return true
		}
	}
	if g.ours(s) {
		return true
	}
	if g.welcome.Type == "" && g.upperPeer.pid != 0 { // a silent predecessor told us nothing
		pid, _, ok := s.Owner()
		return ok && pid == g.upperPeer.pid
	}
	return false
}

func (g *Generation) ours(s reuseport.Socket) bool {
	return slices.ContainsFunc(g.listeners, func(l *listener) bool {
		own, err := l.Inodes()
		return err == nil && slices.Contains(own, s.Inode)
	})
}

// ErrStranger is matched when a process that is no part of the takeover listens
// on an address.
var ErrStranger = errors.New("another process listens there")

func strangerError(s reuseport.Socket) error {
	if pid, command, ok := s.Owner(); ok {
		return fmt.Errorf("%w: %v belongs to process %d (%s), which this control directory does not know: stop it, or use its control directory",
			ErrStranger, s.Addr, pid, command)
	}
	return fmt.Errorf("%w: %v belongs to a process of uid %d, which this control directory does not know: stop it, or use its control directory",
		ErrStranger, s.Addr, s.UID)
}

func (g *Generation) listenerInfos() ([]listenerInfo, error) {
	var infos []listenerInfo
	for _, l := range g.listeners {
		inodes, err := l.Inodes()
		if err != nil {
			return nil, err
		}
		infos = append(infos, listenerInfo{Name: l.name, Network: l.network, Address: l.Addr().String(), Inodes: inodes, Together: l.together})
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
