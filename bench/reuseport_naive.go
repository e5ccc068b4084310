package bench

import (
	"context"
	"syscall"
)

// serveReuseport binds a socket of its own beside those of other generations.
func serveReuseport(ctx context.Context, s *service) error {
	if s.network() == "udp" {
		return s.serveDatagrams(ctx, setReuseport)
	}
	ln, err := s.listen(ctx, setReuseport)
	if err != nil {
		return err
	}
	return s.serveUntilStopped(ctx, ln)
}

// restartReuseport lets old and new overlap: there is always a listener, but
// the kernel chooses the old one until the moment it closes, and resets what
// then waits in its queue.
func restartReuseport(ctx context.Context, f *fleet, old *process) (*process, error) {
	next, err := f.start(ctx)
	if err != nil {
		return nil, err
	}
	return next, old.signal(syscall.SIGTERM)
}
