package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// reportOf has one result of three repetitions with these losses by restart, three
// each, and this p99 in the restart windows.
func reportOf(method string, lost [9]int, p99 [3]float64) *Report {
	var repetitions []*Measurement
	for i := range p99 {
		m := &Measurement{Restarts: 3, Requests: 1000, LostByRestart: lost[3*i : 3*i+3], RestartWindow: Latency{P99: p99[i]}}
		for _, n := range m.LostByRestart {
			m.Lost += n
		}
		repetitions = append(repetitions, m)
	}
	return &Report{Results: []*Result{fixedResult(method, "short", repetitions...)}}
}

func TestCompare(t *testing.T) {
	calm := [3]float64{10, 11, 12}
	few, none := [9]int{4, 6, 5, 7, 4, 6, 5, 7, 4}, [9]int{}
	for _, c := range []struct {
		name           string
		old, now       *Report
		changes, worse int
	}{
		{"the same", reportOf("x", few, calm), reportOf("x", [9]int{5, 5, 4, 7, 6, 6, 4, 5, 8}, calm), 0, 0},
		{"more, within the clusters", reportOf("x", few, calm), reportOf("x", [9]int{0, 32, 29, 4, 32, 7, 30, 3, 32}, calm), 0, 0},
		{"more", reportOf("x", few, calm), reportOf("x", [9]int{12, 15, 11, 12, 18, 11, 14, 12, 19}, calm), 1, 1},
		{"more, by less than twice", reportOf("x", few, calm), reportOf("x", [9]int{8, 9, 8, 8, 9, 8, 9, 8, 9}, calm), 0, 0},
		{"fewer", reportOf("x", few, calm), reportOf("x", none, calm), 1, 0},
		{"one where none may be", reportOf("handoff", none, calm), reportOf("handoff", [9]int{4: 1}, calm), 1, 1},
		{"none any more where none may be", reportOf("handoff", [9]int{4: 1}, calm), reportOf("handoff", none, calm), 1, 0},
		{"one where some may be", reportOf("x", none, calm), reportOf("x", [9]int{4: 1}, calm), 0, 0},
		{"slower", reportOf("x", none, calm), reportOf("x", none, [3]float64{30, 31, 33}), 1, 1},
		{"slower, by less than twice", reportOf("x", none, calm), reportOf("x", none, [3]float64{16, 16, 16}), 0, 0},
		{"slower once", reportOf("x", none, calm), reportOf("x", none, [3]float64{10, 12, 90}), 0, 0},
		{"faster", reportOf("x", none, [3]float64{30, 31, 33}), reportOf("x", none, calm), 1, 0},
	} {
		got := Compare(c.old, c.now)
		if len(got.Changes) != c.changes || got.Worse() != c.worse {
			t.Errorf("%s: %+v; want %d changes, %d for the worse", c.name, got.Changes, c.changes, c.worse)
		}
	}
}

func TestCompareSilence(t *testing.T) {
	silent := func(ms float64) *Report {
		r := reportOf("x", [9]int{}, [3]float64{10, 10, 10})
		for _, m := range r.Results[0].Repetitions {
			m.LongestSilence = ms
		}
		return r
	}
	for ms, worse := range map[float64]int{6: 0, 9: 1} { // a time slice, or more
		if c := Compare(silent(2), silent(ms)); c.Worse() != worse {
			t.Errorf("2 ms and %v: changes %+v, want %d", ms, c.Changes, worse)
		}
	}
}

// Where a hundredth was lost or a bit less, the 99th percentile is the timeout or
// an answer's: the losses tell.
func TestCompareTimeouts(t *testing.T) {
	lossy := func(p99 float64) *Report {
		r := reportOf("x", [9]int{4, 6, 5, 7, 4, 6, 5, 7, 4}, [3]float64{p99, p99, p99})
		for _, m := range r.Results[0].Repetitions {
			m.RestartWindow.Max = 5001
		}
		return r
	}
	if c := Compare(lossy(10), lossy(5001)); len(c.Changes) > 0 {
		t.Errorf("changes %+v", c.Changes)
	}
	if c := Compare(lossy(10), lossy(4000)); c.Worse() != 1 {
		t.Errorf("changes %+v, want one", c.Changes)
	}
}

// Of fewer restarts only what handoff promises is compared, and that is told.
func TestCompareFewRestarts(t *testing.T) {
	of := func(method string, lost ...int) *Report {
		m := &Measurement{Restarts: len(lost), LostByRestart: lost}
		for _, n := range lost {
			m.Lost += n
		}
		return &Report{Results: []*Result{fixedResult(method, "short", m)}}
	}
	c := Compare(of("x", 0, 0, 0), of("x", 90, 100, 95))
	if len(c.Changes) != 0 || !strings.Contains(strings.Join(c.Notes, "\n"), "losses are not compared, which takes 9 restarts or more in both, of x short") {
		t.Errorf("%+v", c)
	}
	if c := Compare(of("handoff", 0, 0, 0), of("handoff", 0, 1, 0)); c.Worse() != 1 {
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

// Equal services seldom differ: of a thousand pairs whose every figure is
// drawn from the same distribution, a heavy-tailed one, a few at most.
func TestCompareOfEqualsIsQuiet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() *Report {
		var lost [9]int
		var p99 [3]float64
		for i := range lost {
			lost[i] = max(0, int(20*math.Exp(random.NormFloat64())-10)) // some are 0
		}
		for i := range p99 {
			p99[i] = 10 * math.Exp(random.NormFloat64()/2)
		}
		return reportOf("x", lost, p99)
	}
	losses, times := 0, 0
	for range 1000 {
		for _, change := range Compare(draw(), draw()).Changes {
			if change.Figure == "lost per restart" {
				losses++
			} else {
				times++
			}
		}
	}
	if losses > 2 || times > 30 {
		t.Errorf("%d changes of losses, %d of times", losses, times)
	}
}

func TestRankTest(t *testing.T) {
	apart := func(n int) (a, b []int) {
		for i := range n {
			a, b = append(a, i), append(b, n+i)
		}
		return a, b
	}
	a, b := apart(9)
	if got, want := rankTest(a, b), 2.0/48620; math.Abs(got-want) > 1e-9 { // of the ways to choose 9 of 18, two
		t.Errorf("nine apart from nine: %v, want %v", got, want)
	}
	if a, b := apart(8); rankTest(a, b) < rareRank {
		t.Error("fewestRestarts is too many")
	}
	for _, c := range []struct {
		a, b []int
		want float64
	}{
		{[]int{1, 1, 1}, []int{1, 1}, 1},
		{[]int{1}, []int{2}, 1},
		{[]int{1, 2}, []int{3, 4}, 2.0 / 6},
		{[]int{0, 0, 5}, []int{0, 7, 9}, 8.0 / 20}, // by hand: ranks 2 2 4, 2 5 6
	} {
		if got := rankTest(c.a, c.b); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
	// Above a hundred it is an approximation.
	random := rand.New(rand.NewPCG(3, 4))
	var exact, more []int
	for range 50 {
		exact, more = append(exact, random.IntN(20)), append(more, random.IntN(20)+3)
	}
	p, q := rankTest(exact, more), rankTest(append(exact, 10), more)
	if p < 1e-5 || math.Abs(math.Log(p/q)) > 0.7 {
		t.Errorf("%v by the exact test, %v with one draw more", p, q)
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
