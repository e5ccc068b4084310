package sdnotify

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sender is a socket that is not connected: a manager that replaced its socket
// is found again.
type sender struct {
	to *unix.SockaddrUnix

	mu sync.Mutex
	fd int
}

func newSender(path string) (*sender, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return &sender{to: &unix.SockaddrUnix{Name: path}, fd: fd}, nil
}

func (s *sender) send(datagram string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return os.ErrClosed
	}
	for {
		err := unix.Sendto(s.fd, []byte(datagram), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, s.to)
		if err != unix.EINTR {
			return os.NewSyscallError("sendto", err)
		}
	}
}

func (s *sender) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return os.NewSyscallError("close", err)
}

// monotonic is CLOCK_MONOTONIC, which MONOTONIC_USEC is counted by.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
