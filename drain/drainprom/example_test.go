package drainprom_test

import (
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/drain/drainprom"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The metrics of a service's connections. There are two more families once
// draining has begun: when it did, and its deadline.
func ExampleNewCollector() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()
	conns := drain.New(drain.Config{})
	web := conns.ListenerWith(ln, drain.ListenerOptions{Name: "web"})

	own := prometheus.NewRegistry()
	own.MustRegister(drainprom.NewCollector(conns))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(own, promhttp.HandlerOpts{}))
	srv := &http.Server{Handler: mux}
	conns.Server(srv)
	go srv.Serve(web)
	defer srv.Close()

	families, err := own.Gather()
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range families {
		fmt.Println(f.GetName())
	}
	// Output:
	// graceport_connections
	// graceport_connections_accepted_total
	// graceport_connections_closed_total
	// graceport_drain_duration_seconds
	// graceport_draining
}
