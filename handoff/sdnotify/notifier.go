package sdnotify

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

// EnvSocket is the environment variable that names the manager's socket: an
// absolute path, or @ and an abstract name.
const EnvSocket = "NOTIFY_SOCKET"

// maxDatagram is the longest one that systemd reads (NOTIFY_BUFFER_MAX in
// src/core/manager.c); it ignores longer ones.
const maxDatagram = 4096

var (
	// ErrAddress is matched when NOTIFY_SOCKET, or what Listen is given, is not
	// the address of a Unix socket, or has more than 107 bytes.
	ErrAddress = errors.New("unusable address of a notification socket")
	// ErrMessage is matched when a notification cannot be sent because of what it
	// is, or what was received is none.
	ErrMessage = errors.New("malformed notification")
)

// A Notifier sends to the socket named by NOTIFY_SOCKET, also after the manager
// has made that anew. A nil Notifier does nothing. Its methods may be called from
// several goroutines.
type Notifier struct{ conn *sender }

// New returns nil and no error when NOTIFY_SOCKET is unset or empty: nobody wants
// to know. Whether anybody listens is found out by Notify. The variable stays set,
// for the programs that we start. The caller closes the Notifier.
//
// The error matches [ErrAddress] if the variable is no address. Outside Linux it
// matches errors.ErrUnsupported.
func New() (*Notifier, error) {
	path := os.Getenv(EnvSocket)
	if path == "" {
		return nil, nil
	}
	if err := checkAddress(path); err != nil {
		return nil, fmt.Errorf("sdnotify: %s=%q: %w", EnvSocket, path, err)
	}
	conn, err := newSender(path)
	if err != nil {
		return nil, fmt.Errorf("sdnotify: %s=%q: %w", EnvSocket, path, err)
	}
	return &Notifier{conn: conn}, nil
}

// checkAddress accepts an absolute path, and "@" before an abstract name.
func checkAddress(path string) error {
	switch {
	case strings.HasPrefix(path, "vsock:"):
		return fmt.Errorf("%w: vsock is for virtual machines and not supported here", ErrAddress)
	case path == "" || path == "@" || path[0] != '/' && path[0] != '@':
		return fmt.Errorf("%w: an absolute path, or @ and an abstract name, is wanted", ErrAddress)
	case strings.ContainsRune(path, 0) || len(path) > maxPath:
		return fmt.Errorf("%w: at most %d bytes, none of them NUL (unix(7))", ErrAddress, maxPath)
	}
	return nil
}

// maxPath is the length of sockaddr_un's sun_path, less one byte for its end.
const maxPath = 107

// Notify sends fields such as "READY=1" or "MAINPID=12", all in one datagram of at
// most 4096 bytes. Each is NAME=value on one line; the error matches [ErrMessage]
// otherwise.
//
// It does not wait: the error matches syscall.EAGAIN when the manager has not
// read what was sent before, and trying again later may help. It matches
// syscall.ENOENT or syscall.ECONNREFUSED when nobody listens, and os.ErrClosed
// after Close.
func (n *Notifier) Notify(fields ...string) error {
	if n == nil {
		return nil
	}
	for _, f := range fields {
		if name, _, ok := strings.Cut(f, "="); !ok || name == "" || strings.ContainsAny(f, "\n\x00") {
			return fmt.Errorf("sdnotify: %w: field %q is not NAME=value on one line", ErrMessage, f)
		}
	}
	datagram := strings.Join(fields, "\n")
	if len(datagram) == 0 || len(datagram) > maxDatagram {
		return fmt.Errorf("sdnotify: %w: %d bytes, from 1 to %d can be sent", ErrMessage, len(datagram), maxDatagram)
	}
	if err := n.conn.send(datagram); err != nil {
		return fmt.Errorf("sdnotify: %w", err)
	}
	return nil
}

// Close closes the socket that Notify sends from. It is idempotent.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	return n.conn.close()
}

// Reloading are the fields that begin a reload: RELOADING=1, and the time, by
// which a manager tells it from an earlier one. READY=1 ends it.
func Reloading() []string {
	return []string{"RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds())}
}

// maxStatus leaves room for other fields in the datagram.
const maxStatus = 1024

// Status is the field STATUS with text on one line, shortened to 1024 bytes and an
// ellipsis: an error's text could otherwise be too long to be sent, or add fields
// of its own.
func Status(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return r == '\n' || r == '\r' || r == 0
	}), " ")
	if len(text) > maxStatus {
		end := maxStatus
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return "STATUS=" + text
}
