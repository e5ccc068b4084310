package handoffprom_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/graceport/graceport/handoff"
	"github.com/graceport/graceport/handoff/handoffprom"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Two generations count, and whoever is asked shows the counts of both. They
// would be two processes; nothing depends on that.
func ExampleGatherer() {
	ctx := context.Background()
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "control")
	all := handoffprom.NewGatherer(dir, nil)

	start := func(addr string) (g *handoff.Generation, at string, jobs prometheus.Counter, end func()) {
		own := prometheus.NewRegistry()
		jobs = prometheus.NewCounter(prometheus.CounterOpts{Name: "jobs_total", Help: "Jobs done."})
		own.MustRegister(jobs)
		g, err := handoff.Open(ctx, handoff.Config{Dir: dir, Metrics: promhttp.HandlerFor(own, promhttp.HandlerOpts{})})
		if err != nil {
			panic(err)
		}
		own.MustRegister(handoffprom.NewCollector(g))
		ln, err := g.Listen(ctx, "tcp", addr)
		if err != nil {
			panic(err)
		}
		go http.Serve(ln, nil)
		if err := g.Ready(ctx); err != nil {
			panic(err)
		}
		return g, ln.Addr().String(), jobs, func() {
			if err := all.Keep(g, own); err != nil {
				panic(err)
			}
			g.Close()
		}
	}
	show := func() {
		families, err := all.Gather()
		if err != nil {
			panic(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "jobs_total" {
					fmt.Println(f.GetName(), m.GetLabel()[0].GetValue(), m.GetCounter().GetValue())
				}
			}
		}
	}

	first, addr, jobs, endFirst := start("127.0.0.1:0")
	jobs.Add(40)
	second, _, more, endSecond := start(addr)
	<-first.Superseded()
	jobs.Add(2) // while it drains
	more.Inc()
	show()
	endFirst()
	show()
	fmt.Println("generation", second.Number(), "serves")
	endSecond()
	// Output:
	// jobs_total 2 1
	// jobs_total 1 42
	// jobs_total 2 1
	// jobs_total ended 42
	// generation 2 serves
}
