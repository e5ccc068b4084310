//go:build linux

// Command grace is github.com/facebookgo/grace as a peer of the bench: its
// gracehttp.Serve, as in its demo.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/facebookgo/grace/gracehttp"

	"github.com/graceport/graceport/bench"
)

func main() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	p, err := bench.NewPeerServer(os.Args[1:])
	if err != nil {
		return err
	}
	srv, err := p.Server()
	if err != nil {
		return err
	}
	srv.Addr = p.Addr
	// The library does not say when it serves; the server does.
	srv.BaseContext = func(net.Listener) context.Context {
		p.Ready()
		return context.Background()
	}
	restartAtUSR2()
	p.WarmUp()
	// From here on all is the library's: it listens or inherits, serves, sends
	// TERM to the parent, and stops at TERM.
	return gracehttp.Serve(srv)
}

// restartAtUSR2 passes the bench's signal on as the one that the library wants.
func restartAtUSR2() {
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, bench.RestartSignal)
	go func() {
		for range restart {
			if err := syscall.Kill(os.Getpid(), syscall.SIGUSR2); err != nil {
				log.Println(os.NewSyscallError("kill", err))
			}
		}
	}()
}
