package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestKindOf(t *testing.T) {
	op := func(call string, err error) error {
		return &net.OpError{Op: call, Net: "tcp", Err: os.NewSyscallError(call, err)}
	}
	for _, c := range []struct {
		err  error
		want kind
	}{
		{op("connect", syscall.ECONNREFUSED), refused},
		{op("read", syscall.ECONNRESET), reset},
		{op("connect", syscall.ECONNRESET), reset},
		{op("write", syscall.EPIPE), reset},
		{op("connect", syscall.EADDRNOTAVAIL), ports},
		{op("socket", syscall.EMFILE), descriptors},
		{op("connect", syscall.ETIMEDOUT), timeout},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, timeout},
		{context.DeadlineExceeded, timeout},
		{io.EOF, eof},
		{fmt.Errorf("body: %w", io.ErrUnexpectedEOF), eof},
		{op("connect", syscall.ENETUNREACH), other},
		{errors.New("malformed HTTP response"), other},
	} {
		if got := kindOf(c.err); got != c.want {
			t.Errorf("kindOf(%v) = %s, want %s", c.err, got, c.want)
		}
	}
}

func TestFailureNamesItsCause(t *testing.T) {
	f := fail(firstByte, io.EOF)
	if got := f.Error(); got != "first-byte/eof: EOF" {
		t.Errorf("Error() = %q", got)
	}
	if !errors.Is(f, io.EOF) {
		t.Error("the cause does not match io.EOF")
	}
}
