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
# HELP graceport_connections Open connections by state.
# TYPE graceport_connections gauge
graceport_connections{state="active"} 2
graceport_connections{state="hijacked"} 0
graceport_connections{state="idle"} 0
graceport_connections{state="new"} 0
# HELP graceport_connections_accepted_total Connections accepted.
# TYPE graceport_connections_accepted_total counter
graceport_connections_accepted_total 3
# HELP graceport_connections_closed_total Connections closed, by how they ended.
# TYPE graceport_connections_closed_total counter
graceport_connections_closed_total{outcome="finished"} 1
graceport_connections_closed_total{outcome="forced"} 0
graceport_connections_closed_total{outcome="hijacked"} 0
graceport_connections_closed_total{outcome="idle"} 0
# HELP graceport_drain_seconds How long draining has lasted, or took.
# TYPE graceport_drain_seconds gauge
graceport_drain_seconds 0
# HELP graceport_draining Whether connections are being drained.
# TYPE graceport_draining gauge
graceport_draining 0
`

// The bubble's clock begins with the year 2000.
const during = `
# HELP graceport_drain_deadline_timestamp_seconds When connections that are left are closed by force, in Unix time.
# TYPE graceport_drain_deadline_timestamp_seconds gauge
graceport_drain_deadline_timestamp_seconds 9.4668483e+08
# HELP graceport_drain_seconds How long draining has lasted, or took.
# TYPE graceport_drain_seconds gauge
graceport_drain_seconds 10
# HELP graceport_drain_start_timestamp_seconds When draining began, in Unix time.
# TYPE graceport_drain_start_timestamp_seconds gauge
graceport_drain_start_timestamp_seconds 9.466848e+08
# HELP graceport_draining Whether connections are being drained.
# TYPE graceport_draining gauge
graceport_draining 1
`

const after = `
# HELP graceport_connections_closed_total Connections closed, by how they ended.
# TYPE graceport_connections_closed_total counter
graceport_connections_closed_total{outcome="finished"} 1
graceport_connections_closed_total{outcome="forced"} 2
graceport_connections_closed_total{outcome="hijacked"} 0
graceport_connections_closed_total{outcome="idle"} 0
# HELP graceport_drain_seconds How long draining has lasted, or took.
# TYPE graceport_drain_seconds gauge
graceport_drain_seconds 30
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
		expect(before)

		go conns.Drain(context.Background())
		time.Sleep(10 * time.Second)
		expect(during, "graceport_draining", "graceport_drain_seconds",
			"graceport_drain_start_timestamp_seconds", "graceport_drain_deadline_timestamp_seconds")
		time.Sleep(30 * time.Second)
		expect(after, "graceport_draining", "graceport_drain_seconds", "graceport_connections_closed_total")
	})
}
