//go:build linux

// The library's default is net.ListenConfig's, which would be MPTCP here and
// plain TCP elsewhere.
//go:debug multipathtcp=0

// Command tableflip is github.com/cloudflare/tableflip as a peer of the bench:
// its example of graceful shutdown with net/http.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"

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
	upg, err := tableflip.New(tableflip.Options{PIDFile: filepath.Join(p.Dir, "tableflip.pid")})
	if err != nil {
		return err
	}
	defer upg.Stop()
	go upgrade(upg)

	ln, err := upg.Listen("tcp", p.Addr)
	if err != nil {
		return err
	}
	p.WarmUp()
	srv, err := p.Server()
	if err != nil {
		return err
	}
	go func() {
		if err := p.Serve(srv, ln); err != http.ErrServerClosed {
			log.Println("HTTP server:", err)
		}
	}()
	if err := upg.Ready(); err != nil {
		return err
	}
	p.Ready()
	<-upg.Exit()

	// The example's: without an end no successor can be replaced.
	time.AfterFunc(30*time.Second, func() {
		log.Println("graceful shutdown timed out")
		os.Exit(1)
	})
	return srv.Shutdown(context.Background())
}

func upgrade(upg *tableflip.Upgrader) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, bench.RestartSignal, syscall.SIGTERM)
	for sig := range signals {
		if sig == syscall.SIGTERM {
			upg.Stop()
			return
		}
		if err := upg.Upgrade(); err != nil {
			log.Println("upgrade failed:", err)
		}
	}
}
