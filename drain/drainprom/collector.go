package drainprom

import (
	"sync"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/prometheus/client_golang/prometheus"
)

// collector reads a snapshot for each scrape, so that its numbers belong to
// one moment.
type collector struct {
	conns *drain.Conns

	open, accepted, closed, draining, start, deadline *prometheus.Desc

	duration prometheus.Histogram
	once     sync.Once // of the drain's end
}

var _ prometheus.Collector = (*collector)(nil)

// NewCollector returns a collector of c's metrics. Register one for each
// registry and Conns; labels to tell several Conns apart are the caller's, with
// [prometheus.WrapRegistererWith].
func NewCollector(c *drain.Conns) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("graceport_"+name, help, labels, nil)
	}
	return &collector{
		conns:    c,
		open:     desc("connections", "Open connections by listener and state.", "listener", "state"),
		accepted: desc("connections_accepted_total", "Connections accepted.", "listener"),
		closed:   desc("connections_closed_total", "Connections closed, by why they ended.", "listener", "reason"),
		draining: desc("draining", "Whether connections are being drained."),
		start:    desc("drain_start_timestamp_seconds", "When draining began, in Unix time."),
		deadline: desc("drain_deadline_timestamp_seconds", "When connections that are left are closed by force, in Unix time."),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                           "graceport_drain_duration_seconds",
			Help:                           "How long draining took.",
			Buckets:                        []float64{0.01, 0.1, 1, 5, 10, 30, 60, 300, 1800, 3600, 4 * 3600},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100,
		}),
	}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.open, c.accepted, c.closed, c.draining, c.start, c.deadline, c.duration.Desc()} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.conns.Snapshot()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}

	for _, l := range s.Listeners {
		gauge(c.open, float64(l.Open.New), l.Name, "new")
		gauge(c.open, float64(l.Open.Active), l.Name, "active")
		gauge(c.open, float64(l.Open.Idle), l.Name, "idle")
		gauge(c.open, float64(l.Open.Hijacked), l.Name, "hijacked")
		counter(c.accepted, l.Accepted, l.Name)
		counter(c.closed, l.Closed.Finished, l.Name, "finished")
		counter(c.closed, l.Closed.Idle, l.Name, "idle")
		counter(c.closed, l.Closed.Cut, l.Name, "cut")
		counter(c.closed, l.Closed.Forced, l.Name, "forced")
	}

	draining := 0.0
	if s.Draining {
		draining = 1
	}
	gauge(c.draining, draining)
	if !s.Started.IsZero() {
		gauge(c.start, unix(s.Started))
		gauge(c.deadline, unix(s.Deadline))
	}
	if !s.Ended.IsZero() {
		c.once.Do(func() { c.duration.Observe(s.Ended.Sub(s.Started).Seconds()) })
	}
	ch <- c.duration
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
