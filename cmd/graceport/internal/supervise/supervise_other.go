//go:build !linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// Run fails outside Linux.
func Run(context.Context, *Options) (status int, err error) {
	return 0, fmt.Errorf("not implemented on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// signalNamed accepts every name: Run fails anyway.
func signalNamed(string, string) (os.Signal, error) { return os.Interrupt, nil }
