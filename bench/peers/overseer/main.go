//go:build linux

// Command overseer is github.com/jpillora/overseer as a peer of the bench: its
// "Only use graceful restarts". This program runs as the master, which serves
// nothing, and as its workers.
package main

import (
	"log"
	"os"
	"slices"

	"github.com/jpillora/overseer"

	"github.com/graceport/graceport/bench"
)

func main() {
	overseer.Run(overseer.Config{
		Required:      true, // never serve without a master
		Program:       program,
		Address:       address(os.Args),
		RestartSignal: bench.RestartSignal,
	})
}

// address is in the master's arguments, too, which is no generation.
func address(args []string) string {
	i := slices.Index(args, "-addr")
	if i < 0 || i+1 == len(args) {
		log.Fatal("name an address with -addr HOST:PORT")
	}
	return args[i+1]
}

// program is a worker.
func program(state overseer.State) {
	if err := serve(state); err != nil {
		log.Fatal(err)
	}
}

func serve(state overseer.State) error {
	p, err := bench.NewPeerServer(os.Args[1:])
	if err != nil {
		return err
	}
	p.PID = os.Getppid() // signals go to the master
	srv, err := p.Server()
	if err != nil {
		return err
	}
	// The library closes the listener and waits for the connections. Without
	// this, which its documentation leaves to the program, persistent ones would
	// last until TerminateTimeout.
	go func() {
		<-state.GracefulShutdown
		srv.SetKeepAlivesEnabled(false)
	}()
	p.WarmUp()
	p.Ready()
	// It returns when the last connection is closed: the library's listener
	// waits for that.
	_ = p.Serve(srv, state.Listener)
	return nil
}
