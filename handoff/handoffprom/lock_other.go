//go:build !linux

package handoffprom

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func tryLock(*os.File) (bool, error) {
	return false, fmt.Errorf("not on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
