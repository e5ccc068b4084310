package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A Comparison is what changed between two reports beyond noise.
type Comparison struct {
	Changes  []Change // in the order of the results
	Compared int      // figures
	Notes    []string // what could not be compared, and why to be careful

	untimed, uncounted []string
}

// A Change is one figure of one method in one scenario.
type Change struct {
	Method, Scenario string // their names
	Figure           string // its name, with the unit
	Old, New         string // with the interval, or the range of the repetitions
	Worse            bool   // New is, than Old
}

// ReadReport reads what WriteJSON wrote. A report without results is an error.
func ReadReport(r io.Reader) (*Report, error) {
	var report Report
	if err := json.NewDecoder(r).Decode(&report); err != nil {
		return nil, fmt.Errorf("bench: read report: %w", err)
	}
	if len(report.Results) == 0 {
		return nil, fmt.Errorf("bench: read report: it has no results; make one with \"graceport bench -json FILE\"")
	}
	if slices.Contains(report.Results, nil) {
		return nil, errors.New("bench: read report: it has an empty result")
	}
	for _, res := range report.Results {
		if slices.Contains(res.Repetitions, nil) {
			return nil, errors.New("bench: read report: it has an empty repetition")
		}
	}
	return &report, nil
}

// Compare tells what changed. Losses have changed if one report has twice as many
// per restart, and a rank test of the restarts finds so great a difference once in
// ten thousand pairs of equal services, which takes nine restarts in both: losses
// come in clusters, so a restart is one observation, however many it lost. Times
// have changed if they are twice as long, and the ranges of the repetitions are
// further apart than either is wide, which takes three repetitions in both; not
// where so much was lost that the figure is the timeout, nor for a silence that is
// longer by less than 5 ms. Where handoff is to lose nothing, the first loss and the
// last are always changes.
func Compare(before, after *Report) *Comparison {
	c := &Comparison{}
	if before.Machine.Kernel != after.Machine.Kernel || before.Machine.Model != after.Machine.Model || before.Machine.CPUs != after.Machine.CPUs {
		c.note("the reports are from different machines or kernels: times say little")
	}
	for _, r := range []*Report{before, after} {
		if r.Interrupted != "" {
			c.note("a report is not complete: %s", r.Interrupted)
		}
	}
	for _, old := range before.Results {
		now := find(after.Results, old.key(), (*Result).key)
		if now == nil {
			c.note("%s is only in the old report", old.key())
			continue
		}
		c.losses(old, now)
		c.errors(old, now)
		c.times(old, now)
	}
	if len(c.uncounted) > 0 {
		c.note("losses are not compared, which takes %d restarts or more in both, of %s", fewestRestarts, strings.Join(c.uncounted, ", "))
	}
	if len(c.untimed) > 0 {
		c.note("times are not compared, which takes three repetitions or more in both, of %s", strings.Join(c.untimed, ", "))
	}
	for _, now := range after.Results {
		if find(before.Results, now.key(), (*Result).key) == nil {
			c.note("%s is only in the new report", now.key())
		}
	}
	return c
}

func (res *Result) key() string { return res.Method + " " + res.Scenario }

func (c *Comparison) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// Worse counts the changes that are.
func (c *Comparison) Worse() (n int) {
	for _, change := range c.Changes {
		if change.Worse {
			n++
		}
	}
	return n
}

func (c *Comparison) add(res *Result, figure, old, now string, worse bool) {
	c.Changes = append(c.Changes, Change{res.Method, res.Scenario, figure, old, now, worse})
}

// rareRank is the probability below which losses have changed, and fewestRestarts
// how many it takes for any losses to be as improbable.
const (
	rareRank       = 1e-4
	fewestRestarts = 9
)

func (c *Comparison) losses(old, now *Result) {
	if old.Restarts <= 0 || now.Restarts <= 0 || old.Lost < 0 || now.Lost < 0 {
		return
	}
	promised := mustNotLose(old.Method, old.Scenario)
	if !promised && min(len(old.LostByRestart), len(now.LostByRestart)) < fewestRestarts {
		c.uncounted = append(c.uncounted, old.key())
		return
	}
	c.Compared++
	fewer, more := old.meanLost(), now.meanLost()
	if fewer > more {
		fewer, more = more, fewer
	}
	if promised && fewer == 0 && more > 0 || more >= 2*fewer && rankTest(old.LostByRestart, now.LostByRestart) < rareRank {
		c.add(old, "lost per restart", old.perRestart(), now.perRestart(), now.meanLost() > old.meanLost())
	}
}

func (c *Comparison) errors(old, now *Result) {
	if len(old.Errors) == 0 && len(now.Errors) > 0 {
		c.add(old, "errors", "none", now.Errors[0], true)
	}
	if len(old.Errors) > 0 && len(now.Errors) == 0 {
		c.add(old, "errors", old.Errors[0], "none", false)
	}
}

// timeSlice is about as long as a scheduler lets a thread run while others wait,
// in ms: a maximum that differs by less may be one such wait.
const timeSlice = 5

func (c *Comparison) times(old, now *Result) {
	if len(old.Repetitions) < 3 || len(now.Repetitions) < 3 {
		c.untimed = append(c.untimed, old.key())
		return
	}
	for _, f := range []struct {
		name  string
		of    func(*Measurement) float64
		least float64 // that counts as a difference
	}{
		{"p99 in restart windows, ms", func(m *Measurement) float64 { return answered(m, m.RestartWindow) }, 0},
		{"p99 steady, ms", func(m *Measurement) float64 { return answered(m, m.Steady) }, 0},
		{"longest silence, ms", func(m *Measurement) float64 { return m.LongestSilence }, timeSlice},
		{"CPU per request, µs", func(m *Measurement) float64 { return m.CPUPerRequest }, 0},
	} {
		if _, _, high := old.spread(f.of); math.IsInf(high, 0) {
			continue
		}
		if _, _, high := now.spread(f.of); math.IsInf(high, 0) {
			continue
		}
		c.Compared++
		if !apart(old, now, f.of) {
			continue
		}
		was, is := old.ranged(f.of), now.ranged(f.of)
		oldMedian, _, _ := old.spread(f.of)
		median, _, _ := now.spread(f.of)
		if math.Abs(median-oldMedian) >= f.least {
			c.add(old, f.name, was, is, median > oldMedian)
		}
	}
}

// answered is the 99th percentile, infinite if it is that of a request which was
// lost: those took the timeout, and nothing took longer.
func answered(m *Measurement, l Latency) float64 {
	if m.Lost > 0 && l.P99 >= l.Max*0.999 { // the same to the digits that are kept
		return math.Inf(1)
	}
	return l.P99
}

// ranged is the median and the range.
func (res *Result) ranged(figure func(*Measurement) float64) string {
	median, low, high := res.spread(figure)
	return fmt.Sprintf("%s (%s-%s)", short(median), short(low), short(high))
}

// apart reports whether a figure is twice as much in one as in the other, and
// the gap between the ranges of the repetitions wider than either.
func apart(a, b *Result, figure func(*Measurement) float64) bool {
	aMedian, aLow, aHigh := a.spread(figure)
	bMedian, bLow, bHigh := b.spread(figure)
	if aMedian > bMedian {
		aMedian, aLow, aHigh, bMedian, bLow, bHigh = bMedian, bLow, bHigh, aMedian, aLow, aHigh
	}
	return bMedian >= 2*aMedian && bLow-aHigh > max(aHigh-aLow, bHigh-bLow)
}

// rankTest is the probability that a and b, if all were draws from one
// distribution, have rank sums at least as far from their means as these: the
// Wilcoxon test, with mean ranks for ties, exact for a hundred draws or fewer.
func rankTest(a, b []int) float64 {
	all := slices.Concat(a, b)
	slices.Sort(all)
	n := len(all)
	rank := func(v int) int { // doubled, to be an integer
		first, _ := slices.BinarySearch(all, v)
		next, _ := slices.BinarySearch(all, v+1)
		return first + next + 1
	}
	distance := func(sum int) int { // from its mean
		return max(sum-len(a)*(n+1), len(a)*(n+1)-sum)
	}
	seen := 0
	for _, v := range a {
		seen += rank(v)
	}
	if n > 100 {
		squares := 0.0
		for _, v := range all {
			squares += math.Pow(float64(rank(v)-n-1), 2)
		}
		variance := squares * float64(len(a)) * float64(len(b)) / float64(n) / float64(n-1)
		if variance == 0 {
			return 1
		}
		return math.Erfc(float64(distance(seen)) / math.Sqrt(2*variance))
	}
	// subsets[k][s] is how many choices of k draws have the rank sum s.
	subsets := make([][]float64, len(a)+1)
	for k := range subsets {
		subsets[k] = make([]float64, k*2*n+1)
	}
	subsets[0][0] = 1
	for _, v := range all {
		r := rank(v)
		for k := len(a); k > 0; k-- {
			for s, choices := range subsets[k-1] {
				if choices > 0 {
					subsets[k][s+r] += choices
				}
			}
		}
	}
	rare, sum := 0.0, 0.0
	for s, choices := range subsets[len(a)] {
		sum += choices
		if distance(s) >= distance(seen) {
			rare += choices
		}
	}
	return rare / sum
}

// Write tells it to people, a line for each change and each note, and a sum.
func (c *Comparison) Write(w io.Writer) error {
	for _, change := range c.Changes {
		word := "better"
		if change.Worse {
			word = "worse"
		}
		if _, err := fmt.Fprintf(w, "%s: %s %s: %s: %s, was %s\n", word, change.Method, change.Scenario, change.Figure, change.New, change.Old); err != nil {
			return err
		}
	}
	for _, n := range c.Notes {
		if _, err := fmt.Fprintf(w, "note: %s\n", n); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d figures compared, %d changed beyond noise, %d for the worse\n", c.Compared, len(c.Changes), c.Worse())
	return err
}
