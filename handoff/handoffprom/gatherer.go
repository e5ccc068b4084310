package handoffprom

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Options adjusts NewGatherer. The zero value, and nil, are right for a service.
type Options struct {
	// Timeout bounds a Gather. 0 means 500 ms.
	Timeout time.Duration
	// ReadOnly has Gather leave the control directory as it is: for an operator,
	// whose files the service might not be able to read.
	ReadOnly bool
	// Logger is told what was left out, and why; nil discards.
	Logger *slog.Logger
}

// Gatherer merges the metrics of all generations of a service. It is a
// prometheus.Gatherer, for promhttp.HandlerFor. Its methods may be called from
// several goroutines. There is nothing to close.
type Gatherer struct {
	store    store
	timeout  time.Duration
	readOnly bool
	log      *slog.Logger

	mu      sync.Mutex
	running *gathering
}

var _ prometheus.Gatherer = (*Gatherer)(nil)

// gathering is one run, whose result everybody gets who asks meanwhile.
type gathering struct {
	done     chan struct{}
	families []*dto.MetricFamily
	err      error
}

// NewGatherer returns a gatherer of the service whose control directory is dir.
// The directory may be made later; until then Gather fails.
func NewGatherer(dir string, o *Options) *Gatherer {
	if o == nil {
		o = &Options{}
	}
	g := &Gatherer{store: store{dir}, timeout: o.Timeout, readOnly: o.ReadOnly, log: o.Logger}
	if g.timeout <= 0 {
		g.timeout = 500 * time.Millisecond
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g
}

// Gather returns the metrics of all generations. What cannot be had is logged
// and left out; it is an error only if the control directory, or a file of ours in
// it, cannot be read. It matches handoff.ErrNoService if there is no such
// directory. The result is not to be changed.
//
// Gatherers of several processes may run at the same time. Calls of this one
// share a run: so it also ends if Config.Metrics was given the merged metrics by
// mistake.
func (g *Gatherer) Gather() ([]*dto.MetricFamily, error) {
	g.mu.Lock()
	run := g.running
	if run != nil {
		g.mu.Unlock()
		<-run.done
		return run.families, run.err
	}
	run = &gathering{done: make(chan struct{})}
	g.running = run
	g.mu.Unlock()

	run.families, run.err = g.gather()
	g.mu.Lock()
	g.running = nil
	g.mu.Unlock()
	close(run.done)
	return run.families, run.err
}
