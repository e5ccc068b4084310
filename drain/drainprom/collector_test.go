package drainprom_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/drain/drainprom"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// pipes accepts connections whose peers are silent.
type pipes struct{ net.Listener }

func (pipes) Accept() (net.Conn, error) {
	nc, _ := net.Pipe()
	return nc, nil
}

const before = `
# HELP graceport_connections Open connections by listener and state.
# TYPE graceport_connections gauge
graceport_connections{listener="",state="active"} 2
graceport_connections{listener="",state="hijacked"} 0
graceport_connections{listener="",state="idle"} 0
graceport_connections{listener="",state="new"} 0
graceport_connections{listener="ssh",state="active"} 1
graceport_connections{listener="ssh",state="hijacked"} 0
graceport_connections{listener="ssh",state="idle"} 0
graceport_connections{listener="ssh",state="new"} 0
# HELP graceport_connections_accepted_total Connections accepted.
# TYPE graceport_connections_accepted_total counter
graceport_connections_accepted_total{listener=""} 3
graceport_connections_accepted_total{listener="ssh"} 1
# HELP graceport_connections_closed_total Connections closed, by why they ended.
# TYPE graceport_connections_closed_total counter
graceport_connections_closed_total{listener="",reason="finished"} 1
graceport_connections_closed_total{listener="",reason="forced"} 0
graceport_connections_closed_total{listener="",reason="cut"} 0
graceport_connections_closed_total{listener="",reason="idle"} 0
graceport_connections_closed_total{listener="ssh",reason="finished"} 0
graceport_connections_closed_total{listener="ssh",reason="forced"} 0
graceport_connections_closed_total{listener="ssh",reason="cut"} 0
graceport_connections_closed_total{listener="ssh",reason="idle"} 0
# HELP graceport_draining Whether connections are being drained.
# TYPE graceport_draining gauge
graceport_draining 0
`

// The bubble's clock begins with the year 2000.
const during = `
# HELP graceport_drain_deadline_timestamp_seconds When connections that are left are closed by force, in Unix time.
# TYPE graceport_drain_deadline_timestamp_seconds gauge
graceport_drain_deadline_timestamp_seconds 9.4668483e+08
# HELP graceport_drain_start_timestamp_seconds When draining began, in Unix time.
# TYPE graceport_drain_start_timestamp_seconds gauge
graceport_drain_start_timestamp_seconds 9.466848e+08
# HELP graceport_draining Whether connections are being drained.
# TYPE graceport_draining gauge
graceport_draining 1
`

const after = `
# HELP graceport_connections_closed_total Connections closed, by why they ended.
# TYPE graceport_connections_closed_total counter
graceport_connections_closed_total{listener="",reason="finished"} 1
graceport_connections_closed_total{listener="",reason="forced"} 2
graceport_connections_closed_total{listener="",reason="cut"} 0
graceport_connections_closed_total{listener="",reason="idle"} 0
graceport_connections_closed_total{listener="ssh",reason="finished"} 0
graceport_connections_closed_total{listener="ssh",reason="forced"} 1
graceport_connections_closed_total{listener="ssh",reason="cut"} 0
graceport_connections_closed_total{listener="ssh",reason="idle"} 0
# HELP graceport_draining Whether connections are being drained.
# TYPE graceport_draining gauge
graceport_draining 0
`

func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := drain.New(drain.Config{Timeout: 30 * time.Second})
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(drainprom.NewCollector(conns))
		expect := func(want string, names ...string) {
			t.Helper()
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
				t.Error(err)
			}
			problems, err := testutil.GatherAndLint(reg)
			if err != nil || len(problems) > 0 {
				t.Errorf("lint: %v, %v", problems, err)
			}
		}

		ln := conns.Listener(pipes{})
		for i := range 3 {
			nc, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				nc.Close()
			}
		}
		shell := conns.ListenerWith(pipes{}, drain.ListenerOptions{Name: "ssh"})
		if _, err := shell.Accept(); err != nil {
			t.Fatal(err)
		}
		expect(before, "graceport_connections", "graceport_connections_accepted_total",
			"graceport_connections_closed_total", "graceport_draining", "graceport_drain_start_timestamp_seconds")
		expectDuration(t, reg, 0, 0)

		go conns.Drain(context.Background())
		time.Sleep(10 * time.Second)
		expect(during, "graceport_draining",
			"graceport_drain_start_timestamp_seconds", "graceport_drain_deadline_timestamp_seconds")
		time.Sleep(30 * time.Second)
		expect(after, "graceport_draining", "graceport_connections_closed_total")
		expectDuration(t, reg, 1, 30)
		expectDuration(t, reg, 1, 30) // it is observed once
	})
}

// expectDuration wants a histogram both classic and native.
func expectDuration(t *testing.T, reg prometheus.Gatherer, count uint64, sum float64) {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != "graceport_drain_duration_seconds" {
			continue
		}
		h := f.Metric[0].Histogram
		if h.GetSampleCount() != count || h.GetSampleSum() != sum || len(h.Bucket) == 0 || h.Schema == nil {
			t.Errorf("%v, want %d of together %v s, classic and native", h, count, sum)
		}
		return
	}
	t.Error("no graceport_drain_duration_seconds")
}
