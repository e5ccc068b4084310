package bench

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/handoff"
	"github.com/graceport/graceport/reuseport"
)

const (
	// probation is short, since the processes that crash here do it at once.
	probation = 100 * time.Millisecond

	// yield bounds how long a successor waits for an idle moment to start in.
	yield = 250 * time.Millisecond
)

// serveHandoff is a service on this module's packages. HUP replaces it; INT,
// QUIT and TERM drain and end it.
func serveHandoff(strategy reuseport.Strategy) func(context.Context, *service) error {
	return func(ctx context.Context, s *service) error {
		if s.dir == "" {
			return errors.New("bench: serve handoff: name a control directory with -dir DIR; generations find each other there")
		}
		tickets, err := newTickets()
		if err != nil {
			return err
		}
		cfg := handoff.Config{
			Dir:          s.dir,
			Strategy:     strategy,
			ReadyTimeout: restartTimeout / 2,
			Probation:    probation,
			Yield:        yield,
			State:        tickets.state,
			Logger:       slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		}
		if strategy == reuseport.Migrate || strategy == reuseport.None {
			// Without steering a busy queue is never empty, and a restart would
			// last as long as this.
			cfg.RetireTimeout = 300 * time.Millisecond
		}
		if s.network() == "unix" {
			cfg.Strategy = "" // paths know one only
		}
		if s.scenario.failing != "" {
			cfg.Logger = slog.New(slog.DiscardHandler) // it would say what is meant to happen
		}
		return handoff.Run(ctx, cfg, func(ctx context.Context, g *handoff.Generation) error {
			s.generation = g.Number()
			if s.network() == "udp" {
				return s.serveDatagramGeneration(ctx, g)
			}
			return s.serveGeneration(ctx, g, tickets)
		})
	}
}

func (s *service) serveGeneration(ctx context.Context, g *handoff.Generation, tickets *tickets) error {
	early := s.newEarlyClose()
	ln, err := g.ListenWith(ctx, s.network(), s.addr, &handoff.ListenOptions{ListenConfig: early.config()})
	if err != nil {
		return err
	}
	conns := drain.New(drain.Config{Timeout: shutdownTimeout})
	// For upgraded connections: no other is ended before its request is.
	spread := drain.ListenerOptions{Policy: drain.Spread, Grace: -1, Window: reconnectWindow}
	srv, err := s.server()
	if err != nil {
		return err
	}
	if srv.TLSConfig != nil {
		tickets.use(srv.TLSConfig, g.State())
	}
	conns.Server(srv)
	served := make(chan error, 1)
	go func() { served <- s.serveOn(srv, conns.ListenerWith(s.slow(ln), spread)) }()
	s.warmUp()
	early.predecessor()
	if err := g.Ready(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	s.ready(ln.Addr())
	served = early.armed(served)

	select {
	case <-g.Superseded():
	case <-ctx.Done():
	case err := <-served:
		return err
	}
	return conns.Drain(ctx).Err()
}

func (s *service) serveDatagramGeneration(ctx context.Context, g *handoff.Generation) error {
	conn, err := g.ListenPacket(ctx, "udp", s.addr)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.answerDatagrams(conn) }()
	if err := g.Ready(ctx); err != nil {
		return errors.Join(err, conn.Close())
	}
	s.ready(conn.LocalAddr())
	select {
	case <-g.Superseded():
	case <-ctx.Done():
	case err := <-served:
		return err
	}
	return conn.Close()
}
