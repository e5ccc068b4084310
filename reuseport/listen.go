package reuseport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Options adjusts Listen and ListenPacket. The zero value, and nil, mean one
// socket and the strongest strategy that works.
type Options struct {
	// Sockets is the number of accept queues, at most 65535; 0 means 1. More
	// than one spreads the kernel's work over CPUs, and costs a goroutine for
	// each and a channel send per connection. With the clients on the same two
	// CPUs, BenchmarkAcceptRate accepts 0.89 to 0.96 times as many a second from
	// two as from one: the kernel's handshakes keep the CPUs busy, not accept(2).
	Sockets int

	// Strategy is used, or Listen fails. The zero value picks the strongest
	// that works, found by trying on a socket that is thrown away.
	Strategy Strategy

	// ListenConfig is copied; nil means its zero value. Its Control runs after
	// the one that sets SO_REUSEPORT. Multipath TCP is switched off, because
	// the kernel refuses to attach a program to such a listener.
	ListenConfig *net.ListenConfig
}

// Listen opens sockets on a TCP address, which others of the same user may
// hold too as long as they set SO_REUSEPORT. The network is tcp, tcp4 or
// tcp6. With port 0 and several sockets, all share the port that the first one
// was given.
//
// The sockets are appended to the address's group. They receive handshakes at
// once unless a program that chooses others is attached to the group. Listen
// itself attaches none. They are open until CloseLast or Close.
//
// If the address is taken, the error is an *InUseError. If no port is free for
// port 0, it matches syscall.EADDRINUSE alone. If the named strategy does not
// work here, the error says why: it matches errors.ErrUnsupported if the system
// lacks it or is not set up for it, and fs.ErrPermission if a privilege is
// missing. ctx bounds the resolution of a host name and the search for the
// holder of a taken address.
func Listen(ctx context.Context, network, address string, opts *Options) (*Listener, error) {
	if opts == nil {
		opts = &Options{}
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, fmt.Errorf("reuseport: listen %s %s: %w", network, address, net.UnknownNetworkError(network))
	}
	if opts.Sockets < 0 || opts.Sockets > maxSockets {
		return nil, fmt.Errorf("reuseport: Options.Sockets is %d, want 0 to %d", opts.Sockets, maxSockets)
	}
	strategy, err := pick(opts.Strategy)
	if err != nil {
		return nil, err
	}

	l := &Listener{
		strategy: strategy,
		fixed:    opts.Strategy != "",
		accepted: make(chan accepted),
		finished: make(chan struct{}),
		parked:   make(chan struct{}),
		done:     make(chan struct{}),
	}
	lc := opts.config()
	for range max(opts.Sockets, 1) {
		ln, err := lc.Listen(ctx, network, address)
		if err != nil {
			_ = l.Close()
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, explain(ctx, network, address, err)
			}
			return nil, fmt.Errorf("reuseport: %w", err)
		}
		l.sockets = append(l.sockets, ln.(*net.TCPListener))
		// The later sockets need the first one's port, and its address if the
		// name has several.
		address = ln.Addr().String()
	}
	l.addr = l.sockets[0].Addr().(*net.TCPAddr)
	if len(l.sockets) == 1 {
		l.only = l.sockets[0]
	} else {
		l.acceptors = l.sockets
		l.accepting.Store(int64(len(l.sockets)))
	}
	return l, nil
}

// config returns a copy of the caller's ListenConfig that opens members of a
// group.
func (o *Options) config() *net.ListenConfig {
	var lc net.ListenConfig
	if o.ListenConfig != nil {
		lc = *o.ListenConfig
	}
	theirs := lc.Control
	lc.Control = func(network, address string, c syscall.RawConn) error {
		if err := control(network, address, c); err != nil {
			return err
		}
		if theirs == nil {
			return nil
		}
		return theirs(network, address, c)
	}
	lc.SetMultipathTCP(false)
	return &lc
}

// pick returns the wanted strategy or, if that is empty, the strongest, in
// either case one that works.
func pick(want Strategy) (Strategy, error) {
	if want == Rename {
		return "", fmt.Errorf("reuseport: strategy %q is for Unix sockets: use ListenUnix, or another strategy", want)
	}
	if want != "" {
		if err := try(want); err != nil {
			return "", fmt.Errorf("reuseport: strategy %q: %w", want, err)
		}
		return want, nil
	}
	var errs []error
	for _, s := range byStrength() {
		err := try(s)
		if err == nil {
			return s, nil
		}
		errs = append(errs, fmt.Errorf("strategy %q: %w", s, err))
	}
	return "", fmt.Errorf("reuseport: %w", errors.Join(errs...))
}
