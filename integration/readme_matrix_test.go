package integration

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graceport/graceport/bench"
)

var updateReadme = flag.Bool("update", false, "write the tables of the README anew from the committed result")

const (
	matrixFile  = "../bench/results/matrix.json"
	matrixBegin = "<!-- from bench/results/matrix.json by go test ./integration -run ReadmeMatrix -update -->\n"
	matrixEnd   = "<!-- end -->\n"
)

// paced scenarios are for latencies, the others for losses.
var paced = []string{"short-paced", "keepalive-paced"}

func matrix(t *testing.T) *bench.Report  { return readReport(t, matrixFile) }
func latency(t *testing.T) *bench.Report { return readReport(t, "../bench/results/latency.json") }

func readReport(t *testing.T, name string) *bench.Report {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := bench.ReadReport(file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The README's tables are those of the committed result.
func TestReadmeMatrix(t *testing.T) {
	before, rest, ok := strings.Cut(readme(t), matrixBegin)
	_, after, ended := strings.Cut(rest, matrixEnd)
	if !ok || !ended {
		t.Fatalf("the README lacks the lines %q and %q", matrixBegin, matrixEnd)
	}
	want := before + matrixBegin + matrixText(matrix(t), latency(t)) + matrixEnd + after
	if *updateReadme {
		if err := os.WriteFile("../README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if readme(t) != want {
		t.Error("the README's tables are not those of the result; write them with -update")
	}
}

// matrixText says where it was measured, and is a table of losses and latencies.
// The latter are of a run with more repetitions.
func matrixText(r, latencies *bench.Report) string {
	var b strings.Builder
	restarts, requests := 0, 0
	var methods, scenarios []string
	cells := map[string]*bench.Result{}
	for _, res := range r.Results {
		restarts += res.Restarts
		requests += res.Requests
		cells[res.Method+" "+res.Scenario] = res
		if !slices.Contains(methods, res.Method) {
			methods = append(methods, res.Method)
		}
		if !slices.Contains(scenarios, res.Scenario) && !slices.Contains(paced, res.Scenario) {
			scenarios = append(scenarios, res.Scenario)
		}
	}
	fmt.Fprintf(&b, "%d × %s, Linux %s, %s: %d restarts, %.1f million requests.\n\n",
		r.Machine.CPUs, r.Machine.Model, r.Machine.Kernel, r.Machine.Go, restarts, float64(requests)/1e6)
	fmt.Fprintf(&b, "| | %s | p99.9, short | p99.9, keepalive |\n|---|%s\n",
		strings.Join(scenarios, " | "), strings.Repeat("---|", len(scenarios)+len(paced)))
	for _, m := range methods {
		row := []string{m}
		for _, s := range scenarios {
			row = append(row, lostPerRestart(cells[m+" "+s]))
		}
		for _, s := range paced {
			row = append(row, slowest(find(latencies, m, s)))
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

// find returns nil if that was not measured.
func find(r *bench.Report, method, scenario string) *bench.Result {
	for _, res := range r.Results {
		if res.Method == method && res.Scenario == scenario {
			return res
		}
	}
	return nil
}

// slowest is the p99.9 in ms, steady and when a restart begins.
func slowest(res *bench.Result) string {
	if res == nil {
		return "–"
	}
	restart := "lost" // one of a thousand or more
	if ms := res.RestartWindow.P999; ms < milliseconds(bench.DefaultTimeout) {
		restart = fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.1f / %s", res.Steady.P999, restart)
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

func lostPerRestart(res *bench.Result) string {
	switch {
	case res == nil:
		return "–"
	case res.Restarts == 0:
		return "failed"
	case res.Lost == 0:
		return "0"
	}
	if mean := res.LostPerRestart.Mean; mean < 10 {
		return fmt.Sprintf("%.1f", mean)
	}
	return fmt.Sprintf("%.0f", res.LostPerRestart.Mean)
}

// Where others lose less than handoff, the README says so.
func TestReadmeSaysWhereOthersLoseLess(t *testing.T) {
	lost := map[string]map[string]float64{}
	for _, res := range matrix(t).Results {
		if lost[res.Scenario] == nil {
			lost[res.Scenario] = map[string]float64{}
		}
		lost[res.Scenario][res.Method] = res.LostPerRestart.Mean
	}
	for scenario, by := range lost {
		for _, ours := range []string{"handoff-ebpf", "handoff-cbpf"} {
			mean, ok := by[ours]
			if !ok {
				continue // a path, say, which only one of the two serves
			}
			for other, theirs := range by {
				if strings.HasPrefix(other, "handoff") || theirs >= mean {
					continue
				}
				if said := fmt.Sprintf("%s loses less than %s in `%s`", other, ours, scenario); !strings.Contains(readme(t), said) {
					t.Errorf("%.1f per restart instead of %.1f, and the README does not say: %s", theirs, mean, said)
				}
			}
		}
	}
}

// A restart by handoff adds at most a fifth to the p99.9, which is not above that
// of a server like ours that is passed its descriptors. Where a program that is not
// like ours does better, the README says so.
func TestLatencyOfRestarts(t *testing.T) {
	const most, repetitions = 1.2, 9
	r := latency(t)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	said := strings.Join(strings.Fields(readme(t)), " ")
	for _, ours := range []string{"handoff-ebpf", "handoff-cbpf"} {
		var slower []string
		for _, s := range paced {
			res := find(r, ours, s)
			if res == nil || len(res.Repetitions) < repetitions {
				t.Errorf("%s %s: want %d repetitions: %+v", ours, s, repetitions, res)
				continue
			}
			ms := res.RestartWindow.P999
			if got := ms / res.Steady.P999; got > most {
				t.Errorf("%s %s: p99.9 is %.2f times the steady one", ours, s, got)
			}
			for _, other := range []string{"fd-inherit", "endless", "grace", "overseer", "tableflip"} {
				if theirs := find(r, other, s); theirs == nil || ms > theirs.RestartWindow.P999 {
					t.Errorf("%s %s: p99.9 is %.3f ms, of %s %+v", ours, s, ms, other, theirs)
				}
			}
			if theirs := find(r, "nginx-upgrade", s); theirs == nil || ms > theirs.RestartWindow.P999 {
				slower = append(slower, "`"+s+"`")
			}
		}
		if want := "than " + ours + " in " + strings.Join(slower, " and "); len(slower) > 0 && !strings.Contains(said, want) {
			t.Errorf("the README does not say that nginx-upgrade answers sooner %s", want)
		}
	}
}

// Where nginx-upgrade is sooner there, it is by less than the noise: in a run of
// these three alone, with more repetitions, it is later.
func TestLatencyBesideNginx(t *testing.T) {
	const most, repetitions = 1.2, 130
	r := readReport(t, "../bench/results/latency-nginx.json")
	nginx := find(r, "nginx-upgrade", "short-paced")
	for _, ours := range []string{"handoff-ebpf", "handoff-cbpf"} {
		res := find(r, ours, "short-paced")
		if n := len(res.Repetitions); n < repetitions || n != len(nginx.Repetitions) {
			t.Errorf("%s: %d repetitions, nginx %d", ours, n, len(nginx.Repetitions))
		}
		ms := res.RestartWindow.P999
		if got := ms / res.Steady.P999; got > most {
			t.Errorf("%s: p99.9 is %.2f times the steady one", ours, got)
		}
		if theirs := nginx.RestartWindow.P999; ms > theirs {
			t.Errorf("%s: p99.9 is %.3f ms, of nginx-upgrade %.3f", ours, ms, theirs)
		}
	}
}

// A second run on the same machine, right before or after, found the same.
func TestTwoRunsAgree(t *testing.T) {
	c := bench.Compare(readReport(t, "../bench/results/matrix-again.json"), matrix(t))
	for _, change := range c.Changes {
		t.Errorf("%+v", change)
	}
	if c.Compared < 100 {
		t.Errorf("only %d figures are compared: %q", c.Compared, c.Notes)
	}
}

// The committed result is whole, and handoff keeps its promise in it.
func TestMatrixIsWhole(t *testing.T) {
	r := matrix(t)
	if r.Interrupted != "" {
		t.Error(r.Interrupted)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	lost := map[string]float64{}
	for _, res := range r.Results {
		lost[res.Method+" "+res.Scenario] = res.LostPerRestart.Mean
	}
	for _, ours := range []string{"handoff-ebpf", "handoff-cbpf"} {
		if n, naive := lost[ours+" crash-new"], lost["reuseport-naive crash-new"]; n > naive/2 {
			t.Errorf("%s lost %.1f in crash-new, more than half of the %.1f of plain overlap", ours, n, naive)
		}
	}
}
