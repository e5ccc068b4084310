package handoffprom

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.Contains(e.Name(), "metrics") {
			names = append(names, e.Name())
		}
	}
	if slices.Sort(want); !slices.Equal(names, want) {
		t.Errorf("the directory holds %q, want %q", names, want)
	}
}

// What ended, killed or not, moves into the sums, once.
func TestEndedIsSummed(t *testing.T) {
	dir := controlDir(t)
	first, second := newFake(t, dir, 1, nil), newFake(t, dir, 2, nil)
	a, b := first.counter("a_total"), second.counter("a_total")
	a.Add(5)
	b.Add(100)
	g := patient(dir)
	gather(t, g)
	onlyFiles(t, dir, "gen-1.metrics", "gen-2.metrics")
	if fi, err := os.Stat(filepath.Join(dir, "gen-1.metrics")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	a.Add(2) // not gathered any more, but kept
	first.end(t)
	want := `
# HELP a_total Things.
# TYPE a_total counter
a_total{generation="2"} 100
a_total{generation="ended"} 7
`
	wantText(t, gather(t, g), want)
	wantText(t, gather(t, g), want)
	onlyFiles(t, dir, "ended.metrics", "gen-2.metrics")

	b.Add(1) // lost: it was never asked again
	second.kill()
	want = `
# HELP a_total Things.
# TYPE a_total counter
a_total{generation="ended"} 107
`
	readOnly := NewGatherer(dir, &Options{Timeout: patience, ReadOnly: true})
	wantText(t, gather(t, readOnly), want)
	onlyFiles(t, dir, "ended.metrics", "gen-2.metrics")
	wantText(t, gather(t, g), want)
	onlyFiles(t, dir, "ended.metrics")
	wantText(t, gather(t, readOnly), want)
}

// A gatherer that is killed between two of its steps is repeated by the next.
func TestFoldingIsIdempotent(t *testing.T) {
	dir := controlDir(t)
	first, second := newFake(t, dir, 1, nil), newFake(t, dir, 2, nil)
	first.counter("a_total").Add(5)
	second.counter("a_total").Add(100)
	g := patient(dir)
	gather(t, g)
	left, err := os.ReadFile(filepath.Join(dir, "gen-1.metrics"))
	if err != nil {
		t.Fatal(err)
	}
	first.close()
	if got := total(gather(t, g), "a_total"); got != 105 {
		t.Errorf("total %v", got)
	}
	// Killed after the sums were written and before the file was removed; and
	// while it wrote the next.
	for name, b := range map[string][]byte{"gen-1.metrics": left, tempName: []byte("half")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := total(gather(t, NewGatherer(dir, &Options{Timeout: patience, ReadOnly: true})), "a_total"); got != 105 {
		t.Errorf("total %v", got)
	}
	if got := total(gather(t, g), "a_total"); got != 105 {
		t.Errorf("total %v", got)
	}
	onlyFiles(t, dir, "ended.metrics", "gen-2.metrics")
}

// A gatherer may be stopped after it asked and go on when the generation has
// ended: what it then writes is known already.
func TestLateAnswer(t *testing.T) {
	dir := controlDir(t)
	first, second := newFake(t, dir, 1, nil), newFake(t, dir, 2, nil)
	first.counter("a_total").Add(5)
	second.counter("a_total").Add(100)
	gather(t, patient(dir))
	goOn := second.hang()

	late := make(chan families)
	go func() { late <- gather(t, patient(dir)) }()
	eventually(t, "both are asked, the second does not answer", func() bool { return first.asked.Load() == 2 && second.asked.Load() == 2 })
	first.end(t)
	// Those who come meanwhile do not wait as long.
	brief := NewGatherer(dir, nil)
	if got := total(gather(t, brief), "a_total"); got != 105 {
		t.Errorf("total %v", got)
	}
	goOn()
	if got := total(<-late, "a_total"); got != 105 {
		t.Errorf("total %v as the late one sees it", got)
	}
	if got := total(gather(t, patient(dir)), "a_total"); got != 105 {
		t.Errorf("total %v", got)
	}
	onlyFiles(t, dir, "ended.metrics", "gen-2.metrics")
}

// One that hangs costs no more than the time for all, and keeps its counters.
func TestHung(t *testing.T) {
	dir := controlDir(t)
	first, second := newFake(t, dir, 1, nil), newFake(t, dir, 2, nil)
	a, b := first.counter("a_total"), second.counter("a_total")
	a.Add(5)
	b.Add(100)
	depth := prometheus.NewGauge(prometheus.GaugeOpts{Name: "depth"})
	first.reg.MustRegister(depth)
	gather(t, patient(dir))
	goOn := first.hang()
	a.Add(1)
	b.Add(1)
	began := time.Now()
	wantText(t, gather(t, NewGatherer(dir, nil)), `
# HELP a_total Things.
# TYPE a_total counter
a_total{generation="2"} 101
a_total{generation="1"} 5
# HELP graceport_generations Living generations by state.
# TYPE graceport_generations gauge
graceport_generations{generation="1",state="silent"} 1
`)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	goOn()
	if all := gather(t, patient(dir)); total(all, "a_total") != 107 || all["depth"] == nil || all[generationsName] != nil {
		t.Errorf("when it answers again\n%s", text(t, all))
	}
}

// While somebody is stopped who writes, the others show what was kept: what they
// cannot keep might be lost, and less be shown.
func TestLocked(t *testing.T) {
	dir := controlDir(t)
	f := newFake(t, dir, 1, nil)
	a, depth := f.counter("a_total"), prometheus.NewGauge(prometheus.GaugeOpts{Name: "depth"})
	f.reg.MustRegister(depth)
	a.Add(5)
	gather(t, patient(dir))
	unlock, err := store{dir}.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a.Add(1)
	depth.Set(7)
	for g, want := range map[*Gatherer]float64{NewGatherer(dir, nil): 5, NewGatherer(dir, &Options{ReadOnly: true, Timeout: patience}): 6} {
		if all := gather(t, g); total(all, "a_total") != want || all["depth"].GetMetric()[0].Gauge.GetValue() != 7 {
			t.Errorf("a total of %v is wanted:\n%s", want, text(t, all))
		}
	}
	unlock()
	if got := total(gather(t, patient(dir)), "a_total"); got != 6 {
		t.Errorf("total %v", got)
	}
}

// Nobody gathers: nothing is kept. Nobody gathers any more: what is kept does
// not grow.
func TestKeepAlone(t *testing.T) {
	dir := controlDir(t)
	newFake(t, dir, 1, nil).end(t)
	onlyFiles(t, dir)
	second := newFake(t, dir, 2, nil)
	second.counter("a_total").Add(5)
	gather(t, patient(dir))
	second.end(t)
	old := newFake(t, dir, 3, nil) // drains as long as all the others live
	old.counter("a_total").Add(2)
	for n := range 3 {
		f := newFake(t, dir, 4+n, nil)
		f.counter("a_total").Inc()
		f.end(t)
	}
	onlyFiles(t, dir, "ended.metrics", "gen-6.metrics")
	old.end(t)
	onlyFiles(t, dir, "ended.metrics", "gen-3.metrics")
	if got := total(gather(t, patient(dir)), "a_total"); got != 10 {
		t.Errorf("total %v", got)
	}
	onlyFiles(t, dir, "ended.metrics")
}

// A service whose count of generations was removed begins again, and keeps what
// it has.
func TestNumbersBeginAgain(t *testing.T) {
	dir := controlDir(t)
	first := newFake(t, dir, 1, nil)
	first.counter("a_total").Add(5)
	gather(t, patient(dir))
	first.end(t)
	gather(t, patient(dir))
	again := newFake(t, dir, 1, nil)
	again.counter("a_total").Add(1)
	for range 2 {
		if got := total(gather(t, patient(dir)), "a_total"); got != 6 {
			t.Errorf("total %v", got)
		}
	}
	again.end(t)
	if got := total(gather(t, patient(dir)), "a_total"); got != 6 {
		t.Errorf("total %v", got)
	}
	onlyFiles(t, dir, "ended.metrics")
}

// The files are replaced when they are damaged, and not when they cannot be read.
func TestDamagedFiles(t *testing.T) {
	dir := controlDir(t)
	newFake(t, dir, 2, nil).counter("a_total").Add(100)
	for _, name := range []string{"gen-1.metrics", "gen-2.metrics", "ended.metrics"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("\xff\xff\xff garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got := total(gather(t, patient(dir)), "a_total"); got != 100 {
			t.Errorf("total %v", got)
		}
	}
	onlyFiles(t, dir, "ended.metrics", "gen-2.metrics")

	ended := filepath.Join(dir, "ended.metrics")
	os.Remove(ended)
	if err := os.Symlink(ended, ended); err != nil { // ELOOP, for root too
		t.Fatal(err)
	}
	if _, err := patient(dir).Gather(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the sums: %v", err)
	}
}
