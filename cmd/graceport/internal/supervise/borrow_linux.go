package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/graceport/graceport/reuseport"
)

// mayLook is what it takes to see and to borrow the sockets of a process.
const mayLook = "run this with CAP_SYS_PTRACE, or as the program's user if the program gains no capabilities (setuid, setcap)"

// holder is a process with a descriptor of a socket.
type holder struct{ pid, fd int }

// holders finds who of a process and its descendants holds the sockets. The
// error tells which processes could not be looked into; they may hold those
// that are missing.
func holders(root int, want map[uint64]bool) (map[uint64]holder, error) {
	found := map[uint64]holder{}
	var errs []error
	for _, pid := range tree(root) {
		if len(found) == len(want) {
			return found, nil
		}
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		entries, denied := os.ReadDir(dir)
		for _, e := range entries {
			link, err := os.Readlink(filepath.Join(dir, e.Name()))
			if errors.Is(err, os.ErrPermission) {
				denied = err
			}
			if err != nil {
				continue // it may have been closed
			}
			inode, ok := socketInode(link)
			if _, known := found[inode]; !ok || known || !want[inode] {
				continue
			}
			if fd, err := strconv.Atoi(e.Name()); err == nil {
				found[inode] = holder{pid, fd}
			}
		}
		// A zombie holds nothing, and shows that to root only.
		if s, err := statOf(pid); errors.Is(denied, os.ErrPermission) && err == nil && !s.dead() {
			errs = append(errs, denied)
		}
	}
	return found, errors.Join(errs...)
}

// socketInode parses socket:[123].
func socketInode(link string) (inode uint64, ok bool) {
	number, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	return inode, err == nil
}

// borrow runs use with a descriptor of a socket that a process or one of its
// descendants holds, and closes it at once: while it is open, the socket
// listens on whatever its owner does.
func borrow(root int, s reuseport.Socket, use func(fd int) error) error {
	found, err := holders(root, map[uint64]bool{s.Inode: true})
	h, ok := found[s.Inode]
	if !ok {
		return errors.Join(fmt.Errorf("process %d does not hold socket %d of %v any more", root, s.Inode, s.Addr), err)
	}
	pidfd, err := unix.PidfdOpen(h.pid, 0)
	if err != nil {
		return fmt.Errorf("process %d: %w", h.pid, os.NewSyscallError("pidfd_open", err))
	}
	defer func() { _ = unix.Close(pidfd) }()
	fd, err := unix.PidfdGetfd(pidfd, h.fd, 0)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("process %d: %w: %s; kernel.yama.ptrace_scope=3 forbids it to all",
			h.pid, os.NewSyscallError("pidfd_getfd", err), mayLook)
	}
	if err != nil {
		return fmt.Errorf("process %d: %w (it needs Linux 5.6)", h.pid, os.NewSyscallError("pidfd_getfd", err))
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Ino != s.Inode {
		return fmt.Errorf("process %d has closed socket %d of %v", h.pid, s.Inode, s.Addr)
	}
	return use(fd)
}

// shares reports whether a socket may share its address.
func shares(fd int) (bool, error) {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	return v != 0, os.NewSyscallError("getsockopt SO_REUSEPORT", err)
}

// mute makes a listening socket drop whatever arrives, without an answer. Its
// accepted connections are not affected.
//
// It asks for the TTL that no router has lowered yet (RFC 5082; tcp_v4_rcv in
// net/ipv4/tcp_ipv4.c), which hosts do not begin with: they use 64 or 128. A
// filter would do the same, but needs CAP_NET_ADMIN on recent kernels.
func mute(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_DOMAIN", err)
	}
	if domain == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MINHOPCOUNT, 255); err != nil {
			return os.NewSyscallError("setsockopt IPV6_MINHOPCOUNT", err)
		}
	}
	// An IPv6 socket may take IPv4 too.
	return os.NewSyscallError("setsockopt IP_MINTTL", unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MINTTL, 255))
}
