//go:build !linux

package sdnotify

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
)

var errOS = fmt.Errorf("not on %s: %w", runtime.GOOS, errors.ErrUnsupported)

const (
	truncated  = 0
	maxControl = 0
)

type sender struct{}

func newSender(string) (*sender, error) { return nil, errOS }
func (*sender) send(string) error       { return errOS }
func (*sender) close() error            { return nil }

func passCredentials(*net.UnixConn) error     { return errOS }
func attachments([]byte) (m Message, _ error) { return m, errOS }
func monotonic() time.Duration                { return 0 }
