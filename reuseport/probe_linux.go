package reuseport

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// inspect reads the settings.
func (r *Report) inspect(ctx context.Context) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("reuseport: probe: %w", os.NewSyscallError("uname", err))
	}
	r.Kernel = unix.ByteSliceToString(u.Release[:])
	r.TCPMigrateReq = try(Migrate) == nil
	if v, err := os.ReadFile("/proc/sys/net/core/somaxconn"); err == nil {
		r.Somaxconn, _ = strconv.Atoi(strings.TrimSpace(string(v)))
	}
	var err error
	if r.MPTCPDefault, err = mptcpDefault(ctx); err != nil {
		return fmt.Errorf("reuseport: probe: %w", err)
	}
	return nil
}

// mptcpDefault reports whether net.Listen makes Multipath TCP listeners. That
// depends on the version of Go, on GODEBUG and on the kernel.
func mptcpDefault(ctx context.Context) (bool, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return false, err
	}
	defer func() { _ = ln.Close() }()
	proto, err := of(ln.(*net.TCPListener), func(fd int) (int, error) {
		p, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
		return p, os.NewSyscallError("getsockopt SO_PROTOCOL", err)
	})
	return proto == unix.IPPROTO_MPTCP, err
}
