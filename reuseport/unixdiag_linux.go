package reuseport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sizes and constants of linux/unix_diag.h.
const (
	unixRequestLen = 24 // struct unix_diag_req
	unixMessageLen = 16 // struct unix_diag_msg

	showName = 1 << 0 // UDIAG_SHOW_NAME
	showVFS  = 1 << 1 // UDIAG_SHOW_VFS
	showRQ   = 1 << 4 // UDIAG_SHOW_RQLEN
	showUID  = 1 << 6 // UDIAG_SHOW_UID

	attrName = 0 // UNIX_DIAG_NAME
	attrVFS  = 1 // UNIX_DIAG_VFS
	attrRQ   = 4 // UNIX_DIAG_RQLEN
	attrUID  = 7 // UNIX_DIAG_UID

	unixListen = 10 // TCP_LISTEN, which Unix sockets use too
)

// unixDiag is a struct unix_diag_msg with the attributes that we use.
type unixDiag struct {
	UnixSocket
	fileInode, fileDev uint32
}

// unixQueueOf reads the accept queue of a listening socket.
func unixQueueOf(fd int) (q Queue, err error) {
	inode, err := inodeOf(fd)
	if err != nil {
		return Queue{}, err
	}
	err = askUnix(context.Background(), unixRequest(uint32(inode), showRQ), func(d unixDiag) { q = d.Queue })
	return q, err
}

// listeningUnix finds the socket behind a path.
func listeningUnix(ctx context.Context, path string) ([]UnixSocket, error) {
	if err := replaceable(path); err != nil {
		return nil, err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var out []UnixSocket
	err = askUnix(ctx, unixRequest(0, showName|showVFS|showRQ|showUID), func(d unixDiag) {
		if d.behind(fi) {
			out = append(out, d.UnixSocket)
		}
	})
	if err != nil || len(out) > 0 {
		return out, err
	}
	living, err := holdsSocket(path)
	if living {
		out = append(out, UnixSocket{Name: path})
	}
	return out, err
}

// behind reports whether a socket is bound to a file.
func (d unixDiag) behind(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || d.fileInode != uint32(st.Ino) {
		return false
	}
	// The kernel's form of a device number is not the one of stat(2).
	if major, minor := d.fileDev>>20, d.fileDev&(1<<20-1); unix.Mkdev(major, minor) == st.Dev {
		return true
	}
	// overlayfs and btrfs show devices to stat(2) that are not their own.
	if !filepath.IsAbs(d.Name) {
		return false
	}
	theirs, err := os.Lstat(d.Name)
	return err == nil && os.SameFile(theirs, fi)
}

// unixRequest asks for one socket or, if inode is 0, for all that listen.
func unixRequest(inode, show uint32) []byte {
	const n = headerLen + unixRequestLen
	flags := uint16(unix.NLM_F_REQUEST)
	if inode == 0 {
		flags |= unix.NLM_F_DUMP
	}
	b := make([]byte, 0, n)
	b = binary.NativeEndian.AppendUint32(b, n)
	b = binary.NativeEndian.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = append(b, make([]byte, 8)...) // sequence and port: the socket is for one question
	b = append(b, unix.AF_UNIX, 0, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, 1<<unixListen)
	b = binary.NativeEndian.AppendUint32(b, inode)
	b = binary.NativeEndian.AppendUint32(b, show)
	return binary.NativeEndian.AppendUint64(b, 1<<64-1) // any cookie
}

// askUnix sends a request and calls visit for each socket in the answer.
func askUnix(ctx context.Context, request []byte, visit func(unixDiag)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return fmt.Errorf("sock_diag: %w", os.NewSyscallError("socket", err))
	}
	defer func() { _ = unix.Close(fd) }()
	// A wait is cut into pieces, so that the end of ctx is noticed.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}); err != nil {
		return fmt.Errorf("sock_diag: %w", os.NewSyscallError("setsockopt SO_RCVTIMEO", err))
	}
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("sock_diag: %w", os.NewSyscallError("sendto", err))
	}
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
			return fmt.Errorf("sock_diag: %w", os.NewSyscallError("recvmsg", err))
		}
		if flags&unix.MSG_TRUNC != 0 {
			return errors.New("sock_diag: answer is too long")
		}
		done, err := parseUnixDiag(buf[:n], visit)
		if err != nil {
			return fmt.Errorf("sock_diag: %w", err)
		}
		if done {
			return nil
		}
	}
}

// parseUnixDiag calls visit for each socket in a part of an answer, and reports
// whether the answer is complete.
func parseUnixDiag(b []byte, visit func(unixDiag)) (done bool, err error) {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return false, errMalformed
	}
	for _, m := range messages {
		if m.Header.Flags&flagDumpIntr != 0 {
			return false, errInterrupted
		}
		switch m.Header.Type {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			return true, status(m.Data)
		case unix.SOCK_DIAG_BY_FAMILY:
			d, err := parseUnixMessage(m.Data)
			if err != nil {
				return false, err
			}
			visit(d)
			done = m.Header.Flags&unix.NLM_F_MULTI == 0
		}
	}
	return done, nil
}

func parseUnixMessage(b []byte) (unixDiag, error) {
	if len(b) < unixMessageLen || b[0] != unix.AF_UNIX {
		return unixDiag{}, errMalformed
	}
	d := unixDiag{UnixSocket: UnixSocket{Inode: uint64(binary.NativeEndian.Uint32(b[4:]))}}
	for b = b[unixMessageLen:]; len(b) >= attrLen; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < attrLen || size > len(b) {
			return unixDiag{}, errMalformed
		}
		value := b[attrLen:size]
		switch kind := binary.NativeEndian.Uint16(b[2:]); {
		case kind == attrName:
			d.Name = unix.ByteSliceToString(value)
		case kind == attrVFS && len(value) >= 8:
			d.fileInode, d.fileDev = binary.NativeEndian.Uint32(value), binary.NativeEndian.Uint32(value[4:])
		case kind == attrRQ && len(value) >= 8:
			d.Queue = Queue{Len: int(binary.NativeEndian.Uint32(value)), Limit: int(binary.NativeEndian.Uint32(value[4:]))}
		case kind == attrUID && len(value) >= 4:
			d.UID = binary.NativeEndian.Uint32(value)
		}
		b = b[min(align(size), len(b)):]
	}
	return d, nil
}
