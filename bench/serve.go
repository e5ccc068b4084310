package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// A service is one generation as its own process sees it.
type service struct {
	addr       string
	dir        string
	generation int
	scenario   *scenario
	closeEarly bool
	stdout     io.Writer
}

// shutdownTimeout bounds http.Server.Shutdown wherever a method uses it.
const shutdownTimeout = 5 * time.Second

// Serve is the server process: one generation of the service, run by the
// method that args[0] names. It prints one line
//
//	ready <url> pid=<pid> generation=<n>
//
// on stdout when it serves, and returns when a signal or ctx has ended it. When
// the bench that started it is gone, it exits. Options.Command must lead here.
// Outside Linux the error matches errors.ErrUnsupported.
func Serve(ctx context.Context, args ...string) error {
	return serve(ctx, methods(), args)
}

func serve(ctx context.Context, all []*method, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return fmt.Errorf("bench: serve: name a method first: %s", strings.Join(MethodNames(), ", "))
	}
	if err := exitWithDriver(); err != nil {
		return err
	}
	if args[0] == namespaceDriver {
		return driveInNamespace(ctx, all)
	}
	m := find(all, args[0], (*method).id)
	if m == nil {
		return fmt.Errorf("bench: serve: unknown method %q; choose from %s", args[0], strings.Join(MethodNames(), ", "))
	}
	if m.serve == nil {
		return fmt.Errorf("bench: serve %s: is a program of its own; only \"bench -methods %s\" starts it", m.name, m.name)
	}
	s := &service{stdout: os.Stdout}
	if err := s.parse("bench serve "+m.name, args[1:]); err != nil {
		return err
	}
	return m.serve(ctx, s)
}

func (s *service) parse(name string, args []string) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&s.addr, "addr", ":8080", "`address` to listen on, or a path in the scenario unix")
	flags.StringVar(&s.dir, "dir", "", "`directory` that the generations share: control directory, certificate")
	flags.IntVar(&s.generation, "generation", 1, "`number` to answer with, where the method does not count by itself")
	flags.BoolVar(&s.closeEarly, "close-early", false, "break handoff: close the old listener before it is empty")
	scenarioName := flags.String("scenario", "short", "what to be like: `name` of a scenario")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q; give the address as -addr HOST:PORT", name, flags.Arg(0))
	}
	if s.scenario = find(scenarios(), *scenarioName, (*scenario).id); s.scenario == nil {
		return known("scenario", []string{*scenarioName}, ScenarioNames())
	}
	return nil
}

func (m *method) id() string { return m.name }

// server is the same for every method.
func (s *service) server() (*http.Server, error) {
	srv := &http.Server{
		Handler:           handler(s.generation),
		ReadHeaderTimeout: 10 * time.Second,
	}
	if s.scenario.tls {
		file := certificateFile(s.dir)
		certificate, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			return nil, err
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}
	}
	return srv, nil
}

func (s *service) serveOn(srv *http.Server, ln net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(ln, "", "")
	}
	return srv.Serve(ln)
}

func (s *service) network() string { return s.scenario.net() }

func (s *service) ready(addr net.Addr) {
	fmt.Fprintf(s.stdout, "ready http://%s pid=%d generation=%d\n", addr, os.Getpid(), s.generation)
	s.crashIfTold()
}

// listen is plain TCP for every method: since Go 1.24 the default is MPTCP,
// which would make the methods differ in more than the method. A Unix path is
// bound anew, as services do that find one.
func (s *service) listen(ctx context.Context, control func(network, address string, c syscall.RawConn) error) (net.Listener, error) {
	s.warmUp()
	lc := net.ListenConfig{Control: control}
	lc.SetMultipathTCP(false)
	if s.network() == "unix" {
		lc.Control = nil
		_ = os.Remove(s.addr)
	}
	ln, err := lc.Listen(ctx, s.network(), s.addr)
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it may be another's by then
	}
	return ln, err
}

// serveUntilStopped serves ln until a signal or the end of ctx, then closes
// it and finishes with Shutdown.
func (s *service) serveUntilStopped(ctx context.Context, ln net.Listener) error {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer cancel()
	srv, err := s.server()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.serveOn(srv, s.slow(ln)) }()
	s.ready(ln.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return shutdown(srv)
	}
}

func shutdown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(fmt.Errorf("connections still busy after %s were closed", shutdownTimeout), srv.Close())
	}
	return err
}
