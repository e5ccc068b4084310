package sdnotify

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// A Socket receives notifications, as a supervisor does. Its methods may be called
// from several goroutines.
type Socket struct {
	conn *net.UnixConn
	path string
}

// A Message is one datagram, and who sent it as the kernel knows it.
type Message struct {
	PID    int      // 0 if it is of a pid namespace that we cannot see
	UID    int      // as seen from our user namespace
	Fields []string // NAME=value, in the order of the datagram; other lines are left out
}

// Listen makes the socket at an absolute path, or at @ and an abstract name.
// The path must not exist, or the error matches syscall.EADDRINUSE; Close removes
// it. Whoever may write to it may notify; the umask decides. The error matches
// [ErrAddress] if path is no address. Outside Linux it matches
// errors.ErrUnsupported.
func Listen(path string) (*Socket, error) {
	if err := checkAddress(path); err != nil {
		return nil, fmt.Errorf("sdnotify: listen on %q: %w", path, err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return nil, fmt.Errorf("sdnotify: %w", err)
	}
	if err := passCredentials(conn); err != nil {
		conn.Close()
		os.Remove(path)
		return nil, fmt.Errorf("sdnotify: listen on %q: %w", path, err)
	}
	return &Socket{conn: conn, path: path}, nil
}

// Receive waits for a datagram. An error that matches ErrMessage concerns this
// one only. Descriptors that come with it are closed, which is also what a
// sender of BARRIER=1 waits for. After Close the error matches net.ErrClosed.
func (s *Socket) Receive() (Message, error) {
	buf, oob := make([]byte, maxDatagram+1), make([]byte, maxControl)
	n, oobn, flags, _, err := s.conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return Message{}, fmt.Errorf("sdnotify: receive: %w", err)
	}
	m, err := attachments(oob[:oobn])
	if err != nil {
		return m, err
	}
	if flags&truncated != 0 {
		return m, fmt.Errorf("sdnotify: %w: longer than %d bytes, or too much comes with it", ErrMessage, maxDatagram)
	}
	m.Fields, err = parse(buf[:n])
	return m, err
}

// Close removes the path and ends Receive. It is idempotent.
func (s *Socket) Close() error {
	err := s.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil // the path may be another's by now
	}
	if s.path[0] == '/' {
		err = errors.Join(err, os.Remove(s.path))
	}
	if err != nil {
		return fmt.Errorf("sdnotify: close: %w", err)
	}
	return nil
}

// Value returns the value of the last field of that name, and whether there is one.
func (m Message) Value(name string) (string, bool) {
	for i := len(m.Fields) - 1; i >= 0; i-- {
		if n, v, ok := strings.Cut(m.Fields[i], "="); ok && n == name {
			return v, true
		}
	}
	return "", false
}

// parse returns a datagram's fields. Lines that are no NAME=value are left
// out, as systemd ignores them.
func parse(datagram []byte) ([]string, error) {
	switch {
	case len(datagram) > maxDatagram:
		return nil, fmt.Errorf("sdnotify: %w: more than %d bytes", ErrMessage, maxDatagram)
	case bytes.IndexByte(datagram, 0) >= 0:
		return nil, fmt.Errorf("sdnotify: %w: it contains NUL", ErrMessage)
	}
	var fields []string
	for line := range strings.FieldsFuncSeq(string(datagram), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if name, _, ok := strings.Cut(line, "="); ok && name != "" {
			fields = append(fields, line)
		}
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("sdnotify: %w: it has no field", ErrMessage)
	}
	return fields, nil
}
