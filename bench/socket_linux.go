package bench

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// setReuseport is a net.ListenConfig.Control.
func setReuseport(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	})
	if err != nil {
		return err
	}
	return set
}

// closedByPeer reports whether the peer's FIN or reset has already arrived.
// Neither waits nor consumes anything.
func closedByPeer(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	var n int
	var peek error
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, peek = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	if err != nil {
		return true
	}
	return peek == nil && n == 0 || peek != nil && peek != unix.EAGAIN && peek != unix.EINTR
}

// shutListener ends the listening state, with all that waits in it, while the
// descriptor stays open.
func shutListener(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) }
