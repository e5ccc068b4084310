//go:build linux

// The library listens with net.Listen, which would be MPTCP here and plain TCP
// elsewhere.
//go:debug multipathtcp=0

// Command endless is github.com/fvbock/endless as a peer of the bench: its
// server in the place of net/http's, as in its README.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/fvbock/endless"

	"github.com/graceport/graceport/bench"
)

func main() {
	p, err := bench.NewPeerServer(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	ours, err := p.Server()
	if err != nil {
		log.Fatal(err)
	}
	// The library makes the http.Server, and takes what it is to be like in its
	// fields.
	srv := endless.NewServer(p.Addr, ours.Handler)
	srv.ReadHeaderTimeout = ours.ReadHeaderTimeout
	srv.ConnContext = ours.ConnContext
	srv.TLSConfig = ours.TLSConfig
	// Its BeforeBegin is not called with TLS.
	srv.BaseContext = func(net.Listener) context.Context {
		p.Ready()
		return context.Background()
	}
	p.WarmUp()
	// From here on all is the library's: it listens or inherits, sends TERM to
	// the parent, serves, starts a child at HUP, and stops at TERM.
	if p.Certificate != "" {
		err = srv.ListenAndServeTLS(p.Certificate, p.Certificate)
	} else {
		err = srv.ListenAndServe()
	}
	// After Stop it is that the listener is closed, and the library's examples
	// log it and exit with 0.
	log.Println(err)
}
