package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Peer is a server of others that is measured beside this module's methods.
// Its command is started with the flags that PeerServer reads, announces each
// generation as Serve does, replaces itself at HUP, and ends at TERM.
type Peer struct {
	Name    string   // as a method, so not that of another
	Command []string // the program and its arguments
}

func (p Peer) method() *method {
	return &method{
		name:    p.Name,
		summary: strings.Join(p.Command, " "),
		command: p.Command,
		restart: restartPeer,
	}
}

// restartPeer is restartByHangup, but for a peer that announces its successor
// with its own pid: a master process, whose workers are the generations.
func restartPeer(ctx context.Context, f *fleet, old *process) (*process, error) {
	workers := workersOf(old)
	next, err := restartByHangup(ctx, f, old)
	if err != nil || next.pid != old.pid {
		return next, err
	}
	next.wait.Do(func() { close(next.exited) }) // the master is waited for once, as old
	_ = next.os.Release()
	last := len(f.processes) - 1
	if i := slices.Index(f.processes, old); i >= 0 {
		f.processes[i], f.processes[last] = next, old
	}
	old.nextWorkers(workers)
	left := old.leaves
	old.leaves = func(ctx context.Context) error {
		if err := left(ctx); err != nil {
			return err
		}
		// Those of a master that crashed are ours to wait for.
		for _, pid := range workers {
			if _, ours := children()[pid]; !ours {
				continue
			}
			orphan, err := os.FindProcess(pid)
			if err != nil {
				return err
			}
			if err := newProcess(orphan, old.generation).ended(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	old.generation = next.generation
	return old, nil
}

// ParsePeer reads NAME=COMMAND; the command's words are separated by spaces, and
// cannot be quoted.
func ParsePeer(s string) (Peer, error) {
	name, command, ok := strings.Cut(s, "=")
	p := Peer{Name: strings.TrimSpace(name), Command: strings.Fields(command)}
	if !ok || len(p.Command) == 0 {
		return Peer{}, fmt.Errorf("bench: peer %q: write NAME=COMMAND", s)
	}
	return p, p.check()
}

func (p Peer) check() error {
	if p.Name == "" || strings.ContainsAny(p.Name, ", ") {
		return fmt.Errorf("bench: peer %q: its name must not be empty or hold spaces and commas", p.Name)
	}
	if slices.Contains(MethodNames(), p.Name) {
		return fmt.Errorf("bench: peer %q: the name is that of a method", p.Name)
	}
	return nil
}

// A PeerServer is one generation of a peer, for peers written in Go: the same
// handler, listener and announcement as those of this module's methods, so
// that the way of restarting is the only difference. Between NewPeerServer and
// Ready a peer listens on Addr by its own library.
type PeerServer struct {
	Addr       string // HOST:PORT to listen on
	Generation int    // 1 and up

	// Dir is the directory that the generations share, for a PID file.
	Dir string

	// Certificate is the file with certificate and key in the scenario tls, and
	// empty otherwise: for a library that loads them itself.
	Certificate string

	// PID is that of the process that takes the signals: this one, unless the
	// library has a master process.
	PID int

	service *service
}

// NewPeerServer reads the command line that the bench starts a peer with:
// os.Args[1:], which successors must be given too. It counts the generation, and
// has this process exit when the bench is gone. Outside Linux the error matches
// errors.ErrUnsupported.
func NewPeerServer(args []string) (*PeerServer, error) {
	s := &service{stdout: os.Stdout}
	if err := s.parse("peer", args); err != nil {
		return nil, err
	}
	if s.dir == "" {
		return nil, errors.New("bench: peer: name a directory with -dir DIR; generations are counted there")
	}
	if err := exitWithDriver(); err != nil {
		return nil, err
	}
	// The arguments of a successor are those of its predecessor, so the number
	// is counted here.
	for {
		mark := filepath.Join(s.dir, "generation-"+strconv.Itoa(s.generation))
		file, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			if err := file.Close(); err != nil {
				return nil, err
			}
			break
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		s.generation++
	}
	p := &PeerServer{Addr: s.addr, Generation: s.generation, Dir: s.dir, PID: os.Getpid(), service: s}
	if s.scenario.tls {
		p.Certificate = certificateFile(s.dir)
	}
	return p, nil
}

// Server answers as every method does. It has a TLS configuration in the
// scenario tls, and takes its time after each connection in those that want
// it, by a ConnContext, since many a library serves by itself.
func (p *PeerServer) Server() (*http.Server, error) {
	srv, err := p.service.server()
	if err != nil {
		return nil, err
	}
	if delay := p.service.scenario.acceptDelay; delay > 0 {
		srv.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
			time.Sleep(delay)
			return ctx
		}
	}
	return srv, nil
}

// Serve serves ln until srv is shut down, over TLS if srv has a configuration.
func (p *PeerServer) Serve(srv *http.Server, ln net.Listener) error {
	return p.service.serveOn(srv, ln)
}

// WarmUp takes the time that the scenario wants of a successor. A peer calls
// it where its library's examples would load what they need: after the
// listener is there, before the predecessor is told.
func (p *PeerServer) WarmUp() { p.service.warmUp() }

// Ready announces the generation on standard output. A peer calls it when it
// serves.
func (p *PeerServer) Ready() {
	addr, err := net.ResolveTCPAddr("tcp", p.Addr)
	if err != nil {
		addr = &net.TCPAddr{}
	}
	fmt.Fprintf(p.service.stdout, "ready http://%s pid=%d generation=%d\n", addr, p.PID, p.service.generation)
	p.service.crashIfTold()
}

// RestartSignal is the signal by which the bench asks a peer to replace itself.
const RestartSignal = syscall.SIGHUP
