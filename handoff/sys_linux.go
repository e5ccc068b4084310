package handoff

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// credentials are those of a Unix socket's peer, unix(7) SO_PEERCRED.
type credentials struct {
	pid int
	uid int
}

func peerCredentials(conn net.Conn) (credentials, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return credentials{}, errors.New("handoff: not a Unix socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return credentials{}, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, os.NewSyscallError("getsockopt SO_PEERCRED", credErr)); err != nil {
		return credentials{}, err
	}
	return credentials{pid: int(cred.Pid), uid: int(cred.Uid)}, nil
}

// awaitExit waits until the process is gone, at most d. Once a pidfd is
// readable the kernel has closed the process's descriptors: its sockets have
// left their groups (pidfd_open(2); do_exit closes files before it notifies).
// A pid of 0 is one of another pid namespace; of it nothing is known.
func awaitExit(pid int, d time.Duration) bool {
	if pid == 0 {
		<-time.After(d)
		return false
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	deadline := time.Now().Add(d)
	for {
		left := max(time.Until(deadline).Milliseconds(), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left))
		if err == nil || !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

func ownerOf(fi fs.FileInfo) int { return int(fi.Sys().(*syscall.Stat_t).Uid) }

// dup is dup(2) with close-on-exec.
func dup(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return n, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
}

func rights(d descriptors) []byte { return unix.UnixRights(d...) }

// rightsSpace is the room that n descriptors need in a control message.
func rightsSpace(n int) int { return unix.CmsgSpace(4 * n) }

// parseRights returns the descriptors in the control messages of one read. Its
// error says that a message could not be read.
func parseRights(oob []byte) (d descriptors, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	for _, m := range messages {
		fds, perr := unix.ParseUnixRights(&m)
		d, err = append(d, fds...), errors.Join(err, perr)
	}
	return d, err
}

// truncated reports whether the kernel dropped control messages: there was no
// room, or no descriptor left for this process.
func truncated(flags int) bool { return flags&unix.MSG_CTRUNC != 0 }

// tryLock takes the flock of f without waiting.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, os.NewSyscallError("flock", err)
		}
	}
}
