// Command hello is the smallest complete service on graceport.
//
//	hello -addr :8080 -dir /tmp/hello
//
// Start it twice, or send it HUP: the new process takes over, and no client
// notices.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/drain/drainprom"
	"github.com/graceport/graceport/handoff"
	"github.com/graceport/graceport/handoff/handoffprom"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	addr := flag.String("addr", ":8080", "TCP `address` to serve on")
	dir := flag.String("dir", "", "control `directory`, one per service; its parent must exist")
	timeout := flag.Duration("drain", 30*time.Second, "how long connections may take to finish")
	linger := flag.Bool("linger", false, "stay after being replaced, until told to stop: for containers that are restarted when they end")
	flag.Parse()

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	conns := drain.New(drain.Config{Timeout: *timeout, Logger: log})
	own := prometheus.NewRegistry() // of this generation
	own.MustRegister(drainprom.NewCollector(conns))
	all := handoffprom.NewGatherer(*dir, &handoffprom.Options{Logger: log})

	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "Hello from %d!\n", os.Getpid())
	})
	mux.Handle("/metrics", promhttp.HandlerFor(all, promhttp.HandlerOpts{}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	conns.Server(srv)

	cfg := handoff.Config{Dir: *dir, Linger: *linger, Logger: log, Metrics: promhttp.HandlerFor(own, promhttp.HandlerOpts{}),
		Connections: func() any { return conns.Snapshot() }, Yield: 250 * time.Millisecond}
	err := handoff.Run(context.Background(), cfg, func(ctx context.Context, g *handoff.Generation) error {
		own.MustRegister(handoffprom.NewCollector(g))
		defer func() {
			if err := all.Keep(g, own); err != nil {
				log.Error("the last metrics are lost", "error", err)
			}
			s := conns.Snapshot()
			log.Info("hello ends", "generation", g.Number(), "accepted", s.Accepted, "finished", s.Closed.Finished)
		}()
		ln, err := g.Listen(ctx, "tcp", *addr)
		if err != nil {
			return err
		}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(conns.Listener(ln)) }()
		if err := g.Ready(ctx); err != nil {
			return err
		}
		fmt.Printf("ready http://%s/hello pid=%d generation=%d\n", reachable(ln.Addr()), os.Getpid(), g.Number())
		select {
		case <-g.Superseded():
			return conns.Drain(ctx).Err()
		case err := <-served:
			return err
		}
	})
	if err != nil && !errors.Is(err, handoff.ErrStopped) {
		log.Error("hello ends", "error", err)
		os.Exit(1)
	}
}

// reachable is an address that a client on this machine can use.
func reachable(a net.Addr) string {
	host, port, _ := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
