package reuseport

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// States of sockets, as bits of a request.
const (
	tcpListening = 1 << unix.BPF_TCP_LISTEN
	tcpBound     = 1 << 13 // TCP_BOUND_INACTIVE, shown since Linux 6.8
	udpBound     = 1 << unix.BPF_TCP_CLOSE
	udpConnected = 1 << unix.BPF_TCP_ESTABLISHED
)

// listening lists the sockets of a port that receive from anybody.
func listening(ctx context.Context, network string, port uint16) ([]Socket, error) {
	if isUDP(network) {
		return sockets(ctx, network, port, udpBound)
	}
	return sockets(ctx, network, port, tcpListening)
}

// bound lists the sockets of both families that keep others from a port.
func bound(ctx context.Context, network string, port uint16) ([]Socket, error) {
	if isUDP(network) {
		return sockets(ctx, "udp", port, udpBound|udpConnected)
	}
	return sockets(ctx, "tcp", port, tcpListening|tcpBound)
}

func sockets(ctx context.Context, network string, port uint16, states uint32) ([]Socket, error) {
	var out []Socket
	err := dump(ctx, network, port, states, func(m diagMsg) {
		out = append(out, Socket{
			Addr:      m.local,
			V6Only:    m.v6only,
			Interface: deviceOf(m.iface),
			UID:       m.uid,
			Inode:     uint64(m.inode),
			Queue:     Queue{Len: int(m.rqueue), Limit: int(m.wqueue)},
		})
	})
	return out, err
}

// halfOpen lists the unfinished handshakes with a port.
func halfOpen(ctx context.Context, network string, port uint16) ([]Handshake, error) {
	var out []Handshake
	err := dump(ctx, network, port, 1<<unix.BPF_TCP_SYN_RECV, func(m diagMsg) {
		out = append(out, Handshake{Local: m.local, Remote: m.remote, Cookie: m.cookie})
	})
	return out, err
}

// dump asks sock_diag(7) for the sockets of a port in the given states.
func dump(ctx context.Context, network string, port uint16, states uint32, visit func(diagMsg)) error {
	families := []uint8{unix.AF_INET, unix.AF_INET6}
	switch network[len(network)-1] {
	case '4':
		families = families[:1]
	case '6':
		families = families[1:]
	}
	protocol := uint8(unix.IPPROTO_TCP)
	if isUDP(network) {
		protocol = unix.IPPROTO_UDP
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return fmt.Errorf("reuseport: sock_diag: %w", os.NewSyscallError("socket", err))
	}
	defer func() { _ = unix.Close(fd) }()
	// A wait is cut into pieces, so that the end of ctx is noticed.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}); err != nil {
		return fmt.Errorf("reuseport: sock_diag: %w", os.NewSyscallError("setsockopt SO_RCVTIMEO", err))
	}
	// The kernel does not apply the port to sockets that are bound and do not
	// listen (inet_diag_dump_icsk in net/ipv4/inet_diag.c).
	ofPort := func(m diagMsg) {
		if m.local.Port() == port {
			visit(m)
		}
	}
	for i, family := range families {
		seq := uint32(i + 1)
		err := dumpFamily(ctx, fd, family, diagRequest(family, protocol, port, states, seq), seq, ofPort)
		if err != nil {
			return fmt.Errorf("reuseport: sock_diag: %w", err)
		}
	}
	return nil
}

// dumpFamily sends one request and reads its answer to the end.
func dumpFamily(ctx context.Context, fd int, family uint8, request []byte, seq uint32, visit func(diagMsg)) error {
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	// A dump's message has at most 32 KiB (netlink_dump in
	// net/netlink/af_netlink.c).
	buf := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, _, flags, _, err := unix.Recvmsg(fd, buf, nil, 0)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("recvmsg", err)
		}
		if flags&unix.MSG_TRUNC != 0 {
			return errors.New("answer is too long")
		}
		done, err := parseDiag(buf[:n], seq, visit)
		if errors.Is(err, unix.ENOENT) && family == unix.AF_INET6 {
			return nil // a kernel without IPv6
		}
		if done || err != nil {
			return err
		}
	}
}
