package reuseport

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Sizes and constants of linux/netlink.h, linux/sock_diag.h and
// linux/inet_diag.h.
const (
	headerLen    = 16 // struct nlmsghdr
	requestLen   = 56 // struct inet_diag_req_v2
	messageLen   = 72 // struct inet_diag_msg
	attrLen      = 4  // struct nlattr
	attrV6Only   = 11 // INET_DIAG_SKV6ONLY
	flagDumpIntr = unix.NLM_F_DUMP_INTR
)

// diagMsg is a struct inet_diag_msg with the attributes that we use.
type diagMsg struct {
	local, remote  netip.AddrPort
	iface          uint32
	cookie         uint64
	rqueue, wqueue uint32
	uid, inode     uint32
	v6only         bool
}

var (
	errInterrupted = errors.New("dump was interrupted by a change")
	errMalformed   = errors.New("malformed netlink message")
)

// diagRequest builds a request to dump the sockets of a port in a set of
// states.
func diagRequest(family, protocol uint8, port uint16, states, seq uint32) []byte {
	const n = headerLen + requestLen
	b := make([]byte, 0, n)
	b = binary.NativeEndian.AppendUint32(b, n)
	b = binary.NativeEndian.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0)
	b = append(b, family, protocol, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, states)
	b = binary.BigEndian.AppendUint16(b, port)
	return b[:n]
}

// parseDiag calls visit for each socket in a part of an answer, and reports
// whether the answer is complete.
func parseDiag(b []byte, seq uint32, visit func(diagMsg)) (done bool, err error) {
	for len(b) > 0 {
		if len(b) < headerLen {
			return false, errMalformed
		}
		size := binary.NativeEndian.Uint32(b)
		if size < headerLen || uint64(size) > uint64(len(b)) {
			return false, errMalformed
		}
		body := b[headerLen:size]
		kind := binary.NativeEndian.Uint16(b[4:])
		flags := binary.NativeEndian.Uint16(b[6:])
		theirs := binary.NativeEndian.Uint32(b[8:])
		b = b[min(align(int(size)), len(b)):]
		if theirs != seq {
			continue // of an earlier request
		}
		if flags&flagDumpIntr != 0 {
			return false, errInterrupted
		}
		switch kind {
		case unix.NLMSG_DONE:
			return true, status(body)
		case unix.NLMSG_ERROR:
			if err := status(body); err != nil {
				return false, err
			}
		case unix.SOCK_DIAG_BY_FAMILY:
			m, err := parseMessage(body)
			if err != nil {
				return false, err
			}
			visit(m)
		}
	}
	return false, nil
}

// status returns the error that the kernel put into a message, if any.
func status(body []byte) error {
	if len(body) < 4 {
		return nil // the oldest kernels end a dump without a status
	}
	if code := int32(binary.NativeEndian.Uint32(body)); code < 0 {
		return os.NewSyscallError("netlink", unix.Errno(-int64(code)))
	}
	return nil
}

func parseMessage(b []byte) (diagMsg, error) {
	if len(b) < messageLen {
		return diagMsg{}, errMalformed
	}
	addr := func(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }
	switch b[0] {
	case unix.AF_INET:
	case unix.AF_INET6:
		addr = func(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)) }
	default:
		return diagMsg{}, errMalformed
	}
	m := diagMsg{
		local:  netip.AddrPortFrom(addr(b[8:]), binary.BigEndian.Uint16(b[4:])),
		remote: netip.AddrPortFrom(addr(b[24:]), binary.BigEndian.Uint16(b[6:])),
		iface:  binary.NativeEndian.Uint32(b[40:]),
		cookie: uint64(binary.NativeEndian.Uint32(b[44:])) | uint64(binary.NativeEndian.Uint32(b[48:]))<<32,
		rqueue: binary.NativeEndian.Uint32(b[56:]),
		wqueue: binary.NativeEndian.Uint32(b[60:]),
		uid:    binary.NativeEndian.Uint32(b[64:]),
		inode:  binary.NativeEndian.Uint32(b[68:]),
	}
	for b = b[messageLen:]; len(b) >= attrLen; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < attrLen || size > len(b) {
			return diagMsg{}, errMalformed
		}
		if binary.NativeEndian.Uint16(b[2:]) == attrV6Only && size > attrLen {
			m.v6only = b[attrLen] != 0
		}
		b = b[min(align(size), len(b)):]
	}
	return m, nil
}

// align rounds up to the 4 bytes of NLMSG_ALIGN and NLA_ALIGN.
func align(n int) int { return (n + 3) &^ 3 }
