package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"
)

// Generations lists those that have a control socket, the newest first. That of
// a killed one stays until another generation joins, see Lives.
func (s *Service) Generations() ([]int, error) {
	all, err := s.dir.generations()
	if err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	return all, nil
}

// Lives reports whether a generation's control socket is open. One that is
// stopped or hangs lives, one that has drained and closed its socket does not.
func (s *Service) Lives(generation int) bool {
	conn, err := net.DialTimeout("unix", s.dir.join(socketName(generation)), s.timeout())
	if err == nil {
		conn.Close()
		return true
	}
	return !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist)
}

// Transport returns a transport whose requests go to a generation's control
// socket, whatever their host is. It keeps no connection, and sets no timeout.
func (s *Service) Transport(generation int) http.RoundTripper {
	return &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true, // it would cost more than the copy that it saves
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", s.dir.join(socketName(generation)))
		},
	}
}
