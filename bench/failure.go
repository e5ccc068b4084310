package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// phase is how far a request had come when it failed.
type phase string

const (
	dialing     phase = "dial"
	handshaking phase = "handshake" // of TLS
	writing     phase = "write"
	firstByte   phase = "first-byte" // sent, and nothing came back
	answering   phase = "response"   // the answer broke off or made no sense
)

// kind is what the client saw.
type kind string

const (
	refused kind = "refused"
	reset   kind = "reset"
	eof     kind = "eof"
	timeout kind = "timeout"
	other   kind = "other"

	// No fault of the server: the client had no local port, or no descriptor.
	ports       kind = "ports"
	descriptors kind = "descriptors"
)

func (k kind) ofClient() bool { return k == ports || k == descriptors }

// A failure is a request that got no whole answer.
type failure struct {
	phase phase
	kind  kind
	err   error
}

var _ error = (*failure)(nil)

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.key(), f.err) }
func (f *failure) Unwrap() error { return f.err }

// key is what the failure is counted under.
func (f *failure) key() string { return string(f.phase) + "/" + string(f.kind) }

// fail classifies the error that ended a request in phase p.
func fail(p phase, err error) *failure {
	return &failure{phase: p, kind: kindOf(err), err: err}
}

func kindOf(err error) kind {
	var ne net.Error
	switch {
	// ENOENT: there is no such Unix socket.
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return refused
	// A write after the peer's reset was already read gives EPIPE.
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return eof
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return ports
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return descriptors
	// Last of these: it also covers ETIMEDOUT and expired deadlines.
	case errors.As(err, &ne) && ne.Timeout():
		return timeout
	}
	return other
}
