package sdnotify

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const truncated = unix.MSG_TRUNC | unix.MSG_CTRUNC

// maxControl has room for credentials and as many descriptors as one datagram
// can carry (SCM_MAX_FD).
var maxControl = unix.CmsgSpace(unix.SizeofUcred) + unix.CmsgSpace(253*4)

// passCredentials makes the kernel add the sender's, whatever it says itself.
func passCredentials(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		optErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	})
	return errors.Join(err, os.NewSyscallError("setsockopt SO_PASSCRED", optErr))
}

// attachments reads the sender's credentials and closes the descriptors.
func attachments(oob []byte) (m Message, err error) {
	parts, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return m, fmt.Errorf("sdnotify: %w: control message: %w", ErrMessage, err)
	}
	known := false
	for _, part := range parts {
		if fds, err := unix.ParseUnixRights(&part); err == nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
		if cred, err := unix.ParseUnixCredentials(&part); err == nil {
			m.PID, m.UID, known = int(cred.Pid), int(cred.Uid), true
		}
	}
	if !known {
		return m, fmt.Errorf("sdnotify: %w: it came without credentials", ErrMessage)
	}
	return m, nil
}
