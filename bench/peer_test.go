package bench

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// peerCommand is the first argument of the test binary as a peer.
const peerCommand = "peer"

// runPeer is a peer as someone else would write it: a socket of its own beside
// its predecessor's, and a child at HUP.
func runPeer(args []string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, RestartSignal, syscall.SIGTERM)
	p, err := NewPeerServer(args)
	if err != nil {
		return err
	}
	lc := net.ListenConfig{Control: setReuseport}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", p.Addr)
	if err != nil {
		return err
	}
	p.WarmUp()
	srv, err := p.Server()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(srv, ln) }()
	p.Ready()
	if <-signals == RestartSignal {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		if _, err := os.StartProcess(exe, os.Args, &os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stderr}}); err != nil {
			return err
		}
	}
	if err := shutdown(srv); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func TestPeer(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, scenario := range []string{"short", "tls", "half-open"} { // the last in a namespace
		t.Run(scenario, func(t *testing.T) {
			o := testOptions(t, "someone", scenario)
			o.Peers = []Peer{{Name: "someone", Command: []string{exe, peerCommand}}}
			r, err := run(t.Context(), o, o.methods(), false)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Skipped) > 0 {
				t.Skip(r.Skipped[0].Reason)
			}
			res := r.Results[0]
			if res.Restarts != o.Restarts || len(res.Errors) > 0 {
				t.Errorf("%d restarts, errors: %q", res.Restarts, res.Errors)
			}
			if res.Lost == 0 {
				t.Error("a peer that leaves its port before the next is there lost nothing")
			}
		})
	}
}

func TestParsePeer(t *testing.T) {
	p, err := ParsePeer("tableflip=./tableflip -v")
	if err != nil || p.Name != "tableflip" || len(p.Command) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, s := range []string{"", "x", "x=", "=x", "a b=x", "a,b=x", "handoff=x"} {
		if _, err := ParsePeer(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}
