package bench

import (
	"context"
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
	stdout     io.Writer
}

// shutdownTimeout bounds http.Server.Shutdown wherever a method uses it.
const shutdownTimeout = 5 * time.Second

// Serve is the server process: one generation of the service, run by the
// method that args[0] names. It prints one line
//
//	ready <url> pid=<pid> generation=<n>
//
// on stdout when it serves, and returns when a signal or ctx has ended it.
// Options.Command must lead here.
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
	s := &service{stdout: os.Stdout}
	flags := flag.NewFlagSet("bench serve "+m.name, flag.ContinueOnError)
	flags.StringVar(&s.addr, "addr", ":8080", "`address` to listen on")
	flags.StringVar(&s.dir, "dir", "", "control `directory` (handoff only)")
	flags.IntVar(&s.generation, "generation", 1, "`number` to answer with, where the method does not count by itself")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("bench: serve %s: unexpected argument %q; give the address as -addr HOST:PORT", m.name, flags.Arg(0))
	}
	return m.serve(ctx, s)
}

func (m *method) id() string { return m.name }

// server is the same for every method.
func (s *service) server() *http.Server {
	return &http.Server{
		Handler:           handler(s.generation),
		ReadHeaderTimeout: 10 * time.Second,
	}
}

func (s *service) ready(addr net.Addr) {
	fmt.Fprintf(s.stdout, "ready http://%s pid=%d generation=%d\n", addr, os.Getpid(), s.generation)
}

// listen is plain TCP for every method: since Go 1.24 the default is MPTCP,
// which would make the methods differ in more than the method.
func (s *service) listen(ctx context.Context, control func(network, address string, c syscall.RawConn) error) (net.Listener, error) {
	lc := net.ListenConfig{Control: control}
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, "tcp", s.addr)
}

// serveUntilStopped serves ln until a signal or the end of ctx, then closes
// it and finishes with Shutdown.
func (s *service) serveUntilStopped(ctx context.Context, ln net.Listener) error {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer cancel()
	srv := s.server()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
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
