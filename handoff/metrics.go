package handoff

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// Metrics are the numbers of one generation, for a collector such as that of
// package handoffprom. What they count begins with Open and never falls.
type Metrics struct {
	Generation int    // its number
	Version    string // Config.Version
	State      string // as in Status

	// Takeovers by how they ended: "completed" is counted by the successor, the
	// others by the predecessor that serves on: "given_back" by the successor,
	// "refused", "timed_out" and "died". A first generation's start is none.
	Takeovers map[string]uint64
	// Phases tells how long the phases of takeovers lasted, by the name of the
	// state: all but leading, draining and ended.
	Phases map[string]Durations
	// Listeners are in the order in which they were opened.
	Listeners []ListenerMetrics
}

// ListenerMetrics are the numbers of a listener.
type ListenerMetrics struct {
	// Name is that of ListenOptions, or else the network, with "#2" for the
	// second of a kind, and so on: it holds no address.
	Name     string
	Strategy reuseport.Strategy // in force
	Queue    reuseport.Queue    // of all open sockets together; in bytes for UDP
	Left     reuseport.Left     // in sockets when they were closed
}

// Durations counts how long something took.
type Durations struct {
	Count   uint64             // how often
	Sum     time.Duration      // of all
	Buckets map[float64]uint64 // how many took at most so many seconds
}

// phaseBounds are the buckets' upper bounds, in seconds. Takeovers take some
// 10 ms, those with shares or a probation minutes.
var phaseBounds = [...]float64{0.001, 0.01, 0.1, 1, 10, 60, 600}

// How a takeover ends.
const (
	takeoverCompleted = "completed"
	takeoverGivenBack = "given_back" // by the successor: rolled back there, unwell or told to stop
	takeoverRefused   = "refused"    // by the predecessor: rolled back here, cancelled or garbled
	takeoverTimedOut  = "timed_out"
	takeoverDied      = "died" // the successor did, or it hung up, or it never came
)

var takeoverResults = []string{takeoverCompleted, takeoverGivenBack, takeoverRefused, takeoverTimedOut, takeoverDied}

// timed reports whether the phase is part of a takeover, and not as long as the
// generation serves.
func (p phase) timed() bool { return p != phaseLeading && p < phaseDraining }

// counters are what Metrics shows. The loop writes them, anybody may read
// without waiting for it.
type counters struct {
	mu        sync.Mutex
	phase     phase
	since     time.Time
	takeovers map[string]uint64
	phases    [phaseEnded]phaseDurations
	left      map[string]reuseport.Left
}

type phaseDurations struct {
	count   uint64
	sum     time.Duration
	buckets [len(phaseBounds)]uint64
}

func (c *counters) begin(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.takeovers, c.left = now, map[string]uint64{}, map[string]reuseport.Left{}
}

// stepped is told every step of the machine. replaces says that there was a
// predecessor.
func (c *counters) stepped(before phase, e event, after phase, did []action, replaces bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range did {
		switch {
		case a.kind == actUnlock && before >= phaseDark && before <= phaseTaking && replaces:
			c.takeovers[takeoverCompleted]++
		case a.kind == actHostFailed:
			c.takeovers[failedBy(e.kind)]++
		}
	}
	if after == before {
		return
	}
	if before.timed() {
		c.phases[before].add(now.Sub(c.since))
	}
	c.phase, c.since = after, now
}

// neverJoined counts a successor that we started and never heard of.
func (c *counters) neverJoined(result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeovers[result]++
}

func failedBy(e eventKind) string {
	switch e {
	case evGaveUp:
		return takeoverGivenBack
	case evTimeout:
		return takeoverTimedOut
	case evLowerEnd:
		return takeoverDied
	}
	return takeoverRefused
}

func (d *phaseDurations) add(took time.Duration) {
	d.count++
	d.sum += took
	for i, bound := range phaseBounds {
		if took.Seconds() <= bound {
			d.buckets[i]++
		}
	}
}

// leftBehind is told what a socket held when it was closed.
func (c *counters) leftBehind(what leftBehind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.left[what.Listener]
	n.Queued += what.Queued
	n.HalfOpen += what.HalfOpen
	c.left[what.Listener] = n
}

// Metrics returns the numbers as they are now. It does not wait for the steps of
// a takeover that are under way.
func (g *Generation) Metrics() Metrics {
	g.mu.Lock()
	listeners := slices.Clone(g.listeners)
	g.mu.Unlock()
	queues := make([]reuseport.Queue, len(listeners))
	for i, l := range listeners {
		open, _ := l.Queues() // an error: it is closed
		for _, q := range open {
			queues[i].Len += q.Len
			queues[i].Limit += q.Limit
		}
	}
	c := &g.loop.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	m := Metrics{
		Generation: g.number, Version: g.cfg.Version, State: c.phase.String(),
		Takeovers: map[string]uint64{}, Phases: map[string]Durations{},
	}
	for _, result := range takeoverResults {
		m.Takeovers[result] = c.takeovers[result]
	}
	for p := range phaseEnded {
		if !p.timed() {
			continue
		}
		d := Durations{Count: c.phases[p].count, Sum: c.phases[p].sum, Buckets: map[float64]uint64{}}
		for i, bound := range phaseBounds {
			d.Buckets[bound] = c.phases[p].buckets[i]
		}
		m.Phases[p.String()] = d
	}
	names := metricsNames(listeners)
	for i, l := range listeners {
		m.Listeners = append(m.Listeners, ListenerMetrics{Name: names[i], Strategy: l.Strategy(), Queue: queues[i], Left: c.left[l.name]})
	}
	return m
}

// metricsNames are the listeners' own names, or else made from their networks.
func metricsNames(listeners []*listener) []string {
	var names []string
	for _, l := range listeners {
		name := l.name
		if strings.HasPrefix(name, l.network+" ") { // see listenerName
			name = l.network
		}
		for base, n := name, 2; slices.Contains(names, name); n++ {
			name = fmt.Sprintf("%s#%d", base, n)
		}
		names = append(names, name)
	}
	return names
}
