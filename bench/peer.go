package bench

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A Peer is a server of others that is measured beside this module's methods.
// Its command is started with the flags that PeerServer reads, announces each
// generation as Serve does, replaces itself at HUP, and ends at TERM.
type Peer struct {
	Name    string
	Command []string
}

func (p Peer) method() *method {
	return &method{
		name:    p.Name,
		summary: strings.Join(p.Command, " "),
		command: p.Command,
		restart: restartByHangup,
	}
}

// ParsePeer reads NAME=COMMAND; the command's words are separated by spaces.
func ParsePeer(s string) (Peer, error) {
	name, command, ok := strings.Cut(s, "=")
	p := Peer{Name: strings.TrimSpace(name), Command: strings.Fields(command)}
	if !ok || p.Name == "" || len(p.Command) == 0 || strings.ContainsAny(p.Name, ", ") {
		return Peer{}, fmt.Errorf("bench: peer %q: write NAME=COMMAND, the name without spaces and commas", s)
	}
	for _, known := range MethodNames() {
		if p.Name == known {
			return Peer{}, fmt.Errorf("bench: peer %q: the name is that of a method", p.Name)
		}
	}
	return p, nil
}

// A PeerServer is one generation of a peer, for peers written in Go: the same
// handler, listener and announcement as those of this module's methods, so
// that the way of restarting is the only difference. Between NewPeerServer and
// Ready a peer listens on Addr by its own library.
type PeerServer struct {
	Addr       string
	Generation int // 1 and up

	service *service
}

// NewPeerServer reads the command line that the bench starts a peer with:
// os.Args[1:], which successors must be given too.
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
	return &PeerServer{Addr: s.addr, Generation: s.generation, service: s}, nil
}

// Server answers as every method does. It has a TLS configuration in the
// scenario tls.
func (p *PeerServer) Server() (*http.Server, error) { return p.service.server() }

// Serve serves ln as the scenario wants it, until srv is shut down.
func (p *PeerServer) Serve(srv *http.Server, ln net.Listener) error {
	return p.service.serveOn(srv, p.service.slow(ln))
}

// WarmUp takes the time that the scenario wants of a successor. A peer calls
// it where its library's examples would load what they need: after the
// listener is there, before the predecessor is told.
func (p *PeerServer) WarmUp() { p.service.warmUp() }

// Ready announces the generation. A peer calls it when it serves.
func (p *PeerServer) Ready() {
	addr, err := net.ResolveTCPAddr("tcp", p.Addr)
	if err != nil {
		addr = &net.TCPAddr{}
	}
	p.service.ready(addr)
}

// RestartSignal is what the bench asks a peer to replace itself with.
const RestartSignal = syscall.SIGHUP
