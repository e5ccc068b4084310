package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// reportOf has one result of three repetitions with these losses in 5 restarts
// each and this p99 in the restart windows.
func reportOf(method string, lost [3]int, p99 [3]float64) *Report {
	var repetitions []*Measurement
	for i := range lost {
		repetitions = append(repetitions, &Measurement{Restarts: 5, Requests: 1000, Lost: lost[i], RestartWindow: Latency{P99: p99[i]}})
	}
	return &Report{Results: []*Result{fixedResult(method, "short", repetitions...)}}
}

func TestCompare(t *testing.T) {
	calm := [3]float64{10, 11, 12}
	for _, c := range []struct {
		name           string
		old, now       *Report
		changes, worse int
	}{
		{"the same", reportOf("x", [3]int{20, 30, 25}, calm), reportOf("x", [3]int{25, 22, 31}, calm), 0, 0},
		{"more, within the clusters", reportOf("x", [3]int{5, 60, 20}, calm), reportOf("x", [3]int{90, 40, 50}, calm), 0, 0},
		{"more", reportOf("x", [3]int{20, 30, 25}, calm), reportOf("x", [3]int{90, 100, 95}, calm), 1, 1},
		{"fewer", reportOf("x", [3]int{90, 100, 95}, calm), reportOf("x", [3]int{20, 30, 25}, calm), 1, 0},
		{"one where none may be", reportOf("handoff", [3]int{}, calm), reportOf("handoff", [3]int{0, 1, 0}, calm), 1, 1},
		{"one where some may be", reportOf("x", [3]int{}, calm), reportOf("x", [3]int{0, 1, 0}, calm), 0, 0},
		{"slower", reportOf("x", [3]int{}, calm), reportOf("x", [3]int{}, [3]float64{30, 31, 33}), 1, 1},
		{"slower, by less than twice", reportOf("x", [3]int{}, calm), reportOf("x", [3]int{}, [3]float64{16, 16, 16}), 0, 0},
		{"slower once", reportOf("x", [3]int{}, calm), reportOf("x", [3]int{}, [3]float64{10, 12, 90}), 0, 0},
		{"faster", reportOf("x", [3]int{}, [3]float64{30, 31, 33}), reportOf("x", [3]int{}, calm), 1, 0},
	} {
		got := Compare(c.old, c.now)
		if len(got.Changes) != c.changes || got.Worse() != c.worse {
			t.Errorf("%s: %+v; want %d changes, %d for the worse", c.name, got.Changes, c.changes, c.worse)
		}
	}
}

// Paced scenarios are for times, but nowhere may handoff lose anything.
func TestCompareLossesOfPaced(t *testing.T) {
	paced := func(method string, lost [3]int) *Report {
		r := reportOf(method, lost, [3]float64{10, 11, 12})
		r.Results[0].Scenario = "short-paced"
		return r
	}
	if c := Compare(paced("x", [3]int{}), paced("x", [3]int{90, 100, 95})); len(c.Changes) != 0 {
		t.Errorf("changes %+v", c.Changes)
	}
	if c := Compare(paced("handoff", [3]int{}), paced("handoff", [3]int{0, 1, 0})); c.Worse() != 1 {
		t.Errorf("changes %+v, want one", c.Changes)
	}
}

func TestCompareTellsWhatIsMissing(t *testing.T) {
	old, now := fixedReport(), fixedReport()
	now.Machine.Kernel = "6.19.0"
	now.Results = now.Results[1:]
	now.Results[1].Errors = []string{"restart 1: no"}
	c := Compare(old, now)
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"different machines", "stop-start short is only in the old report",
		"times are not compared", "worse: fd-inherit short: errors: restart 1: no, was none",
		"1 changed beyond noise, 1 for the worse",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
}

// The first reports had no intervals.
func TestCompareWithoutIntervals(t *testing.T) {
	read := func(lost string) *Report {
		r, err := ReadReport(strings.NewReader(`{"results": [{"method": "x", "scenario": "short", "restarts": 20, "lost": ` + lost + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	c := Compare(read("1021"), read("40"))
	if len(c.Changes) != 1 || c.Changes[0].Worse || c.Changes[0].Old != "51" || c.Changes[0].New != "2.0" {
		t.Errorf("%+v", c.Changes)
	}
}

// Equal services seldom differ: of a thousand pairs whose every figure is
// drawn from the same distribution, a heavy-tailed one, a few at most.
func TestCompareOfEqualsIsQuiet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() *Report {
		var lost [3]int
		var p99 [3]float64
		for i := range lost {
			lost[i] = int(20 * math.Exp(random.NormFloat64()/2))
			p99[i] = 10 * math.Exp(random.NormFloat64()/2)
		}
		return reportOf("x", lost, p99)
	}
	changes := 0
	for range 1000 {
		changes += len(Compare(draw(), draw()).Changes)
	}
	if changes > 40 { // of 5000 figures, 2000 of them random
		t.Errorf("%d changes", changes)
	}
}

func TestRareSplit(t *testing.T) {
	for _, c := range []struct {
		a, aTrials, b, bTrials int
		want                   float64
	}{
		{0, 1, 0, 1, 1},
		{0, 1, 10, 1, 2.0 / 1024}, // all heads or all tails
		{1, 1, 1, 1, 1},
		{0, 3, 4, 1, 1.0 / 256}, // each with probability 1/4
	} {
		if got := rareSplit(c.a, c.aTrials, c.b, c.bTrials); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestReadReportRefusesOthers(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", `{"results": [null]}`, `{"results": [{"repetitions": [null]}]}`, `{"results": [{"steady_hdr": "x"}]}`} {
		if _, err := ReadReport(strings.NewReader(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func FuzzReadReport(f *testing.F) {
	var b bytes.Buffer
	if err := drawnReport().WriteJSON(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add(`{"results": [{"method": "x", "restarts": 1, "lost": 3}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		// Whatever a file says, comparing it does not end the program.
		r, err := ReadReport(strings.NewReader(text))
		if err == nil {
			Compare(r, r)
		}
	})
}
