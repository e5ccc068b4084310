package handoffprom_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/drain/drainprom"
	"github.com/graceport/graceport/handoff"
	"github.com/graceport/graceport/handoff/handoffprom"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
)

// generation serves as hello does.
type generation struct {
	*handoff.Generation
	own   *prometheus.Registry
	conns *drain.Conns
	addr  string
}

func start(t *testing.T, cfg handoff.Config, addr string, plan ...handoff.Share) *generation {
	t.Helper()
	g := open(t, cfg, addr, plan...)
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// open stops short of Ready.
func open(t *testing.T, cfg handoff.Config, addr string, plan ...handoff.Share) *generation {
	t.Helper()
	g := &generation{own: prometheus.NewRegistry(), conns: drain.New(drain.Config{IdleGrace: 10 * time.Millisecond})}
	g.own.MustRegister(drainprom.NewCollector(g.conns))
	cfg.Metrics, cfg.Version, cfg.Plan = promhttp.HandlerFor(g.own, promhttp.HandlerOpts{}), "v1", plan
	var err error
	if g.Generation, err = handoff.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	g.own.MustRegister(handoffprom.NewCollector(g.Generation))
	ln, err := g.ListenWith(t.Context(), "tcp", addr, &handoff.ListenOptions{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	g.addr = ln.Addr().String()
	srv := &http.Server{}
	g.conns.Server(srv)
	go srv.Serve(g.conns.ListenerWith(ln, drain.ListenerOptions{Name: "web"}))
	return g
}

func controlDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "handoffprom")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "d")
}

func text(t *testing.T, g prometheus.Gatherer) string {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range all {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestCollector(t *testing.T) {
	cfg := handoff.Config{Dir: controlDir(t)}
	all := handoffprom.NewGatherer(cfg.Dir, &handoffprom.Options{Timeout: 30 * time.Second})
	first := start(t, cfg, "127.0.0.1:0")
	conn, err := net.Dial("tcp", first.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	// One gives back what it shared, one gives up before.
	sharing := start(t, cfg, first.addr, handoff.Share{Share: 5000})
	wantLines(t, text(t, all),
		`graceport_generations{generation="1",state="hosting"} 1`,
		`graceport_generations{generation="2",state="sharing"} 1`,
		`graceport_accept_queue_length{generation="1",listener="web"} 0`,
		`graceport_generation_info{generation="2",version="v1"} 1`)
	sharing.Stop()
	<-sharing.Superseded()
	sharing.Close()
	giving := open(t, cfg, first.addr)
	giving.Stop()
	<-giving.Superseded()
	giving.Close()

	last := start(t, cfg, first.addr)
	<-first.Superseded()
	first.conns.Drain(t.Context())
	if err := all.Keep(first.Generation, first.own); err != nil {
		t.Error(err)
	}
	first.Close()
	got := text(t, all)
	wantLines(t, got,
		`graceport_takeovers_total{generation="4",result="completed"} 1`,
		`graceport_takeovers_total{generation="ended",result="completed"} 0`,
		`graceport_takeovers_total{generation="ended",result="given_back"} 2`,
		`graceport_takeover_phase_duration_seconds_count{generation="4",phase="taking"} 1`,
		`graceport_takeover_phase_duration_seconds_count{generation="ended",phase="retiring"} 1`,
		`graceport_connections_accepted_total{generation="ended",listener="web"} 1`,
		`graceport_connections_closed_total{generation="ended",listener="web",reason="idle"} 1`,
		`graceport_left_connections_total{generation="ended",kind="half_open",listener="web"} 0`,
		`graceport_drain_duration_seconds_count{generation="ended"} 1`,
		`graceport_drain_duration_seconds_count{generation="4"} 0`)
	if strings.Contains(got, last.addr) {
		t.Error("a label holds an address")
	}
	lint(t, got)
}

// lint asks both linters.
func lint(t *testing.T, text string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not installed, and was not asked")
		return
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader([]byte(text))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
