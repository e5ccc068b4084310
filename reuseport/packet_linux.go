package reuseport

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exclusive undoes SO_REUSEADDR. Of UDP sockets that set it, any may bind the
// same address, those of other users included, and the last one receives
// (udp_lib_lport_inuse in net/ipv4/udp.c).
func exclusive(c syscall.RawConn) error {
	return onFD(c, func(fd int) error {
		return os.NewSyscallError("setsockopt SO_REUSEADDR",
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0))
	})
}

// shareable lets later sockets bind the address of one that is bound.
func shareable(c syscall.RawConn) error {
	return onFD(c, func(fd int) error {
		return os.NewSyscallError("setsockopt SO_REUSEPORT",
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	})
}

// memoryOf reads how much memory the receive queue takes, and may take.
func memoryOf(fd int) (Queue, error) {
	var info [9]uint32 // SK_MEMINFO_VARS of linux/sock_diag.h: rmem_alloc, rcvbuf and others
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return Queue{}, os.NewSyscallError("getsockopt SO_MEMINFO", errno)
	}
	return Queue{Len: int(info[0]), Limit: int(info[1])}, nil
}

// readable reports whether a datagram, even one of length zero, waits in one of
// the two lists that recvmsg(2) takes from: udp_poll in net/ipv4/udp.c looks at
// both sk_receive_queue and reader_queue, while FIONREAD counts bytes.
func readable(fd int) (bool, error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(p, 0)
		if err != unix.EINTR {
			return p[0].Revents&unix.POLLIN != 0, os.NewSyscallError("poll", err)
		}
	}
}
