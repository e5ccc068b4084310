package handoff

import (
	"errors"

	"golang.org/x/sys/unix"
)

// awaitChild waits until a child has ended, and leaves its exit status for
// whoever is to have it, waitid(2) WNOWAIT.
func awaitChild(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
