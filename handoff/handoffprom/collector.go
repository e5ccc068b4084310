package handoffprom

import (
	"github.com/graceport/graceport/handoff"
	"github.com/prometheus/client_golang/prometheus"
)

// The gatherer adds the generations that are silent to this family.
const (
	generationsName = "graceport_generations"
	generationsHelp = "Living generations by state."
)

// collector shows one generation.
type collector struct {
	g *handoff.Generation

	info, generations, takeovers, phases, queue, limit, left, strategy *prometheus.Desc
}

var _ prometheus.Collector = (*collector)(nil)

// NewCollector returns a collector of g's metrics, which the package's comment
// lists.
func NewCollector(g *handoff.Generation) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &collector{
		g:           g,
		info:        desc("graceport_generation_info", "A generation of the service and its version.", "version"),
		generations: desc(generationsName, generationsHelp, "state"),
		takeovers:   desc("graceport_takeovers_total", "Takeovers by how they ended.", "result"),
		phases:      desc("graceport_takeover_phase_duration_seconds", "How long the phases of takeovers lasted.", "phase"),
		queue:       desc("graceport_accept_queue_length", "Connections that wait to be accepted.", "listener"),
		limit:       desc("graceport_accept_queue_limit", "How many connections may wait to be accepted.", "listener"),
		left:        desc("graceport_left_connections_total", "Connections that were in a socket when it was closed.", "listener", "kind"),
		strategy:    desc("graceport_strategy_info", "How connections are steered from one generation to the next.", "listener", "strategy"),
	}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.info, c.generations, c.takeovers, c.phases, c.queue, c.limit, c.left, c.strategy} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := c.g.Metrics()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(c.info, 1, m.Version)
	gauge(c.generations, 1, m.State)
	for result, n := range m.Takeovers {
		counter(c.takeovers, n, result)
	}
	for phase, d := range m.Phases {
		ch <- prometheus.MustNewConstHistogram(c.phases, d.Count, d.Sum.Seconds(), d.Buckets, phase)
	}
	for _, l := range m.Listeners {
		gauge(c.queue, float64(l.Queue.Len), l.Name)
		gauge(c.limit, float64(l.Queue.Limit), l.Name)
		counter(c.left, uint64(l.Left.Queued), l.Name, "queued")
		counter(c.left, uint64(l.Left.HalfOpen), l.Name, "half_open")
		gauge(c.strategy, 1, l.Name, string(l.Strategy))
	}
}
