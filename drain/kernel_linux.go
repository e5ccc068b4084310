package drain

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waiting reports whether the kernel holds bytes of nc that nobody has read
// (SIOCINQ, tcp(7)). A connection that cannot tell has none.
func waiting(nc net.Conn) bool {
	n := 0
	ok := control(nc, func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, unix.SIOCINQ)
		return err
	})
	return ok && n > 0
}

// trafficOf asks the kernel what went over nc (TCP_INFO, tcp(7)), so that
// reads and writes need not count. It knows of splice and sendfile too.
func trafficOf(nc net.Conn) (t traffic, ok bool) {
	var info *unix.TCPInfo
	ok = control(nc, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
		return err
	})
	if !ok {
		return traffic{}, false
	}
	return traffic{
		in:   info.Bytes_received,
		out:  info.Bytes_sent - info.Bytes_retrans,
		idle: time.Duration(min(info.Last_data_recv, info.Last_data_sent)) * time.Millisecond,
	}, true
}

// control reports whether nc has a descriptor and f made its call on it.
func control(nc net.Conn, f func(fd int) error) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	if raw.Control(func(fd uintptr) { err = f(int(fd)) }) != nil {
		return false
	}
	return err == nil
}
