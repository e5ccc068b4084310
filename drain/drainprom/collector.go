package drainprom

import (
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/prometheus/client_golang/prometheus"
)

// collector reads a snapshot for each scrape, so that its numbers belong to
// one moment.
type collector struct {
	conns *drain.Conns

	open, accepted, closed, draining, seconds, start, deadline *prometheus.Desc
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
		open:     desc("connections", "Open connections by state.", "state"),
		accepted: desc("connections_accepted_total", "Connections accepted."),
		closed:   desc("connections_closed_total", "Connections closed, by how they ended.", "outcome"),
		draining: desc("draining", "Whether connections are being drained."),
		seconds:  desc("drain_seconds", "How long draining has lasted, or took."),
		start:    desc("drain_start_timestamp_seconds", "When draining began, in Unix time."),
		deadline: desc("drain_deadline_timestamp_seconds", "When connections that are left are closed by force, in Unix time."),
	}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.open, c.accepted, c.closed, c.draining, c.seconds, c.start, c.deadline} {
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

	gauge(c.open, float64(s.Open.New), "new")
	gauge(c.open, float64(s.Open.Active), "active")
	gauge(c.open, float64(s.Open.Idle), "idle")
	gauge(c.open, float64(s.Open.Hijacked), "hijacked")
	counter(c.accepted, s.Accepted)
	counter(c.closed, s.Closed.Finished, "finished")
	counter(c.closed, s.Closed.Idle, "idle")
	counter(c.closed, s.Closed.Hijacked, "hijacked")
	counter(c.closed, s.Closed.Forced, "forced")

	if s.Draining {
		gauge(c.draining, 1)
	} else {
		gauge(c.draining, 0)
	}
	gauge(c.seconds, lasted(s).Seconds())
	if !s.Started.IsZero() {
		gauge(c.start, unix(s.Started))
		gauge(c.deadline, unix(s.Deadline))
	}
}

// lasted is 0 before draining.
func lasted(s drain.Snapshot) time.Duration {
	switch {
	case s.Started.IsZero():
		return 0
	case s.Ended.IsZero():
		return time.Since(s.Started)
	}
	return s.Ended.Sub(s.Started)
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
