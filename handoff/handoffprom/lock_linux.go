package handoffprom

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the flock of f without waiting. It is held until f is closed.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return err == nil, os.NewSyscallError("flock", err)
}
