package reuseport

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// nowhere is the index of a device that does not exist: the kernel counts from
// 1 and does not check the one that a socket is bound to (sock_bindtoindex in
// net/core/sock.c).
const nowhere = math.MaxInt32

// bindNowhere needs CAP_NET_RAW if the socket is bound to a device already.
func bindNowhere(fd int) error {
	return os.NewSyscallError("setsockopt SO_BINDTOIFINDEX", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, nowhere))
}

// deviceOf shows a hidden socket as what it is: a member of its group.
func deviceOf(index uint32) uint32 {
	if index == nowhere {
		return 0
	}
	return index
}
