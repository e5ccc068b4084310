package reuseport

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// SteerFD is Listener.Steer for a group whose members belong to others,
// through a descriptor of any member, for instance one that pidfd_getfd(2)
// gave. The descriptor is the caller's to close. The program stays when it is
// closed; an open one keeps its socket in the group even if its owner closes it.
// Probe tells which strategy works.
//
// The error matches errors.ErrUnsupported if the strategy cannot steer, and
// fs.ErrPermission if the privilege to load eBPF programs is missing.
func SteerFD(fd int, s Strategy, sel Selection) error {
	if err := sel.validate(); err != nil {
		return err
	}
	if err := attach(fd, s, sel); err != nil {
		return fmt.Errorf("reuseport: steer by descriptor: %w", err)
	}
	return nil
}

// SameGroup reports whether two sockets that set SO_REUSEPORT are members of
// one group.
func (s Socket) SameGroup(o Socket) bool {
	return s.Addr == o.Addr && s.V6Only == o.V6Only && s.Interface == o.Interface
}

// Empty is Listener.Empty for a TCP socket of any process. It needs no
// descriptor and no privilege. A socket that has closed is empty, and so is one
// of another network namespace, which cannot be seen.
func (s Socket) Empty(ctx context.Context) (Left, error) {
	left, err := (&emptying{
		settle:   settle,
		idle:     func() bool { return idle(s.Addr.Addr(), s.Inode) },
		halfOpen: s.halfOpen,
		queued: func() (int, error) {
			all, err := listening(context.WithoutCancel(ctx), "tcp", s.Addr.Port())
			if err != nil {
				return 0, err
			}
			if i := slices.IndexFunc(all, func(o Socket) bool { return o.Inode == s.Inode }); i >= 0 {
				return all[i].Queue.Len, nil
			}
			return 0, nil
		},
	}).run(ctx)
	if err != nil {
		err = fmt.Errorf("reuseport: empty socket %d of %v: %w", s.Inode, s.Addr, err)
	}
	return left, err
}

// halfOpen returns the unfinished handshakes with the socket's address.
func (s Socket) halfOpen(ctx context.Context) ([]Handshake, error) {
	all, err := halfOpen(ctx, "tcp", s.Addr.Port())
	if err != nil || s.Addr.Addr().IsUnspecified() {
		return all, err
	}
	bare := func(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
	return slices.DeleteFunc(all, func(h Handshake) bool { return bare(h.Local.Addr()) != bare(s.Addr.Addr()) }), nil
}
