package reuseport

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attach makes the selection govern the group of a socket.
func attach(fd int, s Strategy, sel Selection) error {
	switch s {
	case EBPF:
		return attachExtended(fd, extended(sel))
	case CBPF:
		return attachClassic(fd, classic(sel))
	}
	return fmt.Errorf("strategy %q: %w", s, errors.ErrUnsupported)
}

func attachClassic(fd int, insns []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(insns)), Filter: &insns[0]}
	return os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_CBPF",
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &prog))
}

func attachExtended(fd int, code []byte) error {
	prog, err := load(code)
	if err != nil {
		return err
	}
	// The group keeps the program.
	defer func() { _ = unix.Close(prog) }()
	return os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_EBPF",
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_EBPF, prog))
}

// progLoad is the beginning of union bpf_attr for BPF_PROG_LOAD (linux/bpf.h).
type progLoad struct {
	progType    uint32
	insnCount   uint32
	insns       uint64
	license     uint64
	logLevel    uint32
	logSize     uint32
	logBuf      uint64
	kernVersion uint32
	progFlags   uint32
	progName    [16]byte // what bpftool shows
}

// load gives a program of type SOCKET_FILTER to the kernel.
func load(code []byte) (fd int, err error) {
	license := []byte("GPL\x00")
	attr := &progLoad{
		progType:  unix.BPF_PROG_TYPE_SOCKET_FILTER,
		insnCount: uint32(len(code) / insnSize),
	}
	copy(attr.progName[:], "graceport")
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&code[0])
	pin.Pin(&license[0])
	attr.insns = uint64(uintptr(unsafe.Pointer(&code[0])))
	attr.license = uint64(uintptr(unsafe.Pointer(&license[0])))
	// A signal, such as the runtime's own, makes the verifier give up with
	// EAGAIN.
	for range 10 {
		r, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
		if errno == 0 {
			return int(r), nil
		}
		err = os.NewSyscallError("bpf BPF_PROG_LOAD", errno)
		if errno != unix.EAGAIN {
			break
		}
	}
	return -1, err
}

// migrateSetting is a setting of the network namespace.
const migrateSetting = "/proc/sys/net/ipv4/tcp_migrate_req"

// try returns nil if a strategy works, found out without touching any group.
func try(s Strategy) error {
	switch s {
	case EBPF, CBPF:
		// A program can be attached before bind(2), so the socket needs no port.
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		}
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer func() { _ = unix.Close(fd) }()
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
		}
		return attach(fd, s, Selection{To: Range{Count: 1}})
	case Migrate:
		v, err := os.ReadFile(migrateSetting)
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("no net.ipv4.tcp_migrate_req before Linux 5.14: %w", errors.ErrUnsupported)
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(v)) != "1" {
			return fmt.Errorf("net.ipv4.tcp_migrate_req is not 1: %w", errors.ErrUnsupported)
		}
		return nil
	case None:
		return nil
	}
	return errors.New("unknown strategy")
}
