package drain

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// waiting reports whether the kernel holds bytes of nc that nobody has read
// (SIOCINQ, tcp(7)). A connection that cannot tell has none.
func waiting(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	if err := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }); err != nil {
		return false
	}
	return err == nil && n > 0
}
