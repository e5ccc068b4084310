package bench

import (
	"context"
	"syscall"
)

// serveAlone is an ordinary service: it owns its port and shuts down when
// told to.
func serveAlone(ctx context.Context, s *service) error {
	if s.network() == "udp" {
		return s.serveDatagrams(ctx, nil)
	}
	ln, err := s.listen(ctx, nil)
	if err != nil {
		return err
	}
	return s.serveUntilStopped(ctx, ln)
}

// restartStopStart is what a service manager does by default. Nobody listens
// from the old process's Shutdown until the new one's listen(2).
func restartStopStart(ctx context.Context, f *fleet, old *process) (*process, error) {
	if err := old.signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	if err := old.gone(ctx); err != nil {
		return nil, err
	}
	return f.start(ctx)
}
