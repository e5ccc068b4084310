//go:build !linux

package drain_test

import (
	"errors"
	"net"
)

func listenApart(string) (net.Listener, error) { return nil, errors.ErrUnsupported }
