package bench

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// serveInherit serves on the listener that its parent left it, or on one of
// its own if there is none. HUP starts a child and shuts down; USR2 starts a
// child and both serve; INT, QUIT and TERM shut down.
func serveInherit(ctx context.Context, s *service) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGHUP, sigUSR2, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer signal.Stop(signals)

	ln, err := s.inheritOrListen(ctx)
	if err != nil {
		return err
	}
	srv, err := s.server()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.serveOn(srv, s.slow(ln)) }()
	s.ready(ln.Addr())

	for {
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
			return shutdown(srv)
		case sig := <-signals:
			if sig != syscall.SIGHUP && sig != sigUSR2 {
				return shutdown(srv)
			}
			// A child that cannot be started leaves this process serving.
			if err := s.fork(ln); err != nil {
				log.Printf("start a child: %v; this process serves on", err)
				continue
			}
			// The listener's queue is shared with the child, so nothing is
			// lost in it; what Shutdown does to connections is another matter.
			if sig == syscall.SIGHUP {
				return shutdown(srv)
			}
		}
	}
}

// fork starts this executable again, with the listener among its descriptors.
func (s *service) fork(ln net.Listener) error {
	passable, ok := ln.(interface{ File() (*os.File, error) })
	if !ok {
		return fmt.Errorf("a %T has no descriptor to pass on", ln)
	}
	file, err := passable.File()
	if err != nil {
		return fmt.Errorf("duplicate the listener: %w", err)
	}
	defer file.Close()
	env, err := exportListener(os.Environ(), inherited{
		Addr:       s.addr,
		FD:         firstInherited,
		Name:       file.Name(),
		Generation: s.generation + 1,
	})
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("name of this executable: %w", err)
	}
	child, err := os.StartProcess(exe, os.Args, &os.ProcAttr{
		Env:   env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, file},
	})
	if err != nil {
		return err
	}
	// Without a wait a child that ends first would stay a zombie.
	go func() { _, _ = child.Wait() }()
	return nil
}

// restartByHangup asks old to replace itself; the successor is its child and
// announces itself on the same stdout.
func restartByHangup(ctx context.Context, f *fleet, old *process) (*process, error) {
	if err := old.signal(syscall.SIGHUP); err != nil {
		return nil, err
	}
	return f.announced(ctx, nil)
}
