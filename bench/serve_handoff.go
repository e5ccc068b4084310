package bench

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/handoff"
)

// serveHandoff is a service on this module's packages. HUP replaces it; INT,
// QUIT and TERM drain and end it.
func serveHandoff(ctx context.Context, s *service) error {
	if s.dir == "" {
		return errors.New("bench: serve handoff: name a control directory with -dir DIR; generations find each other there")
	}
	cfg := handoff.Config{
		Dir:          s.dir,
		ReadyTimeout: restartTimeout / 2,
		Logger:       slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	return handoff.Run(ctx, cfg, s.serveGeneration)
}

func (s *service) serveGeneration(ctx context.Context, g *handoff.Generation) error {
	s.generation = g.Number()
	ln, err := g.Listen(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	conns := drain.New(drain.Config{Timeout: shutdownTimeout})
	srv := s.server()
	conns.Server(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(conns.Listener(ln)) }()
	if err := g.Ready(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	s.ready(ln.Addr())

	select {
	case <-g.Superseded():
	case <-ctx.Done():
	case err := <-served:
		return err
	}
	return conns.Drain(ctx).Err()
}
