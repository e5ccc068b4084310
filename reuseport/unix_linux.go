package reuseport

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// chmodSocket sets the mode of a socket that is not bound yet.
func chmodSocket(fd int, mode fs.FileMode) error {
	return os.NewSyscallError("fchmod", unix.Fchmod(fd, uint32(mode.Perm())))
}

// holdsSocket reports whether a process holds the socket that a name leads to.
//
// A connect(2) of another type tells that and disturbs nobody: it fails with
// EPROTOTYPE where there is a socket and with ECONNREFUSED where there is only
// its file (unix_find_bsd in net/unix/af_unix.c). sock_diag would not show
// sockets of other network namespaces.
func holdsSocket(name string) (bool, error) {
	if fi, err := os.Lstat(name); err != nil || fi.Mode().Type() != fs.ModeSocket {
		return false, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: name})
	switch {
	case err == nil, errors.Is(err, unix.EPROTOTYPE), errors.Is(err, unix.EPERM):
		return true, nil // a datagram socket, a listening one, a datagram socket for somebody else
	case errors.Is(err, unix.ECONNREFUSED):
		return false, nil
	}
	return false, &fs.PathError{Op: "connect", Path: name, Err: err}
}

// unixQueued returns the length of the accept queue. Only poll(2) is certain
// to work, where a sandbox forbids netlink, and tells whether it is empty.
func unixQueued(fd int) (int, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(fds, 0)
	}
	if err != nil {
		return 0, os.NewSyscallError("poll", err)
	}
	if n == 0 {
		return 0, nil
	}
	q, err := unixQueueOf(fd)
	if err != nil {
		return 1, nil // at least
	}
	return q.Len, nil
}
