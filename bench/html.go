package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed report.tmpl.html
var reportTemplate string

// WriteHTML writes the report as one page that needs nothing else: tables,
// drawings and a sentence for each scenario.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"ms":         short,
		"lostBy":     lostBy,
		"timeline":   drawTimeline,
		"latencies":  drawLatencies,
		"perRestart": (*Result).perRestart,
	}).Parse(reportTemplate)
	if err != nil {
		return err
	}
	var page struct {
		*Report
		Scenarios []*scenarioResults
		Notes     string
	}
	page.Report = r
	for _, s := range scenarios() {
		if of := r.scenario(s); of != nil {
			page.Scenarios = append(page.Scenarios, of)
		}
	}
	var notes strings.Builder
	r.notes(&notes)
	page.Notes = notes.String()
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("bench: write report: %w", err)
	}
	return nil
}

// scenarioResults are all methods in one scenario.
type scenarioResults struct {
	Name, Summary, Shows string
	Results              []*Result
	peak                 float64 // answers in a slot, per restart
}

func (r *Report) scenario(s *scenario) *scenarioResults {
	of := &scenarioResults{Name: s.name, Summary: s.summary, Shows: s.shows}
	for _, res := range r.Results {
		if res.Scenario != s.name {
			continue
		}
		of.Results = append(of.Results, res)
		if t := res.Timeline; t != nil && res.Restarts > 0 {
			for i := range t.Old {
				of.peak = max(of.peak, float64(t.Old[i]+t.New[i])/float64(res.Restarts))
			}
		}
	}
	if of.Results == nil {
		return nil
	}
	return of
}

// Sentence is what the scenario showed, in words.
func (of *scenarioResults) Sentence() string {
	var clean []string
	restarts := 0
	var worst *Result
	for _, res := range of.Results {
		if res.Restarts == 0 {
			continue
		}
		if res.Lost == 0 {
			clean = append(clean, res.Method)
			restarts = max(restarts, res.Restarts)
		} else if worst == nil || res.LostPerRestart.Mean > worst.LostPerRestart.Mean {
			worst = res
		}
	}
	var parts []string
	switch {
	case len(clean) > 0:
		parts = append(parts, fmt.Sprintf("%s lost nothing in %d restarts", and(clean), restarts))
	case worst != nil:
		parts = append(parts, "Every method lost something")
	default:
		return "No restart was completed."
	}
	if worst != nil {
		by := worst.LostBy
		main := slices.MaxFunc(keysOf(by), func(a, b string) int { return by[a] - by[b] })
		parts = append(parts, fmt.Sprintf("%s lost most, %s per restart (95 %% interval %s to %s), chiefly %s",
			worst.Method, few(worst.LostPerRestart.Mean), few(worst.LostPerRestart.Low), few(worst.LostPerRestart.High), main))
	}
	silent := slices.MaxFunc(of.Results, func(a, b *Result) int { return int(1000 * (a.LongestSilence - b.LongestSilence)) })
	parts = append(parts, fmt.Sprintf("the longest silence was %s ms, of %s", short(silent.LongestSilence), silent.Method))
	byCrowd := func(a, b *Result) int { return a.Crowd - b.Crowd }
	if even, crowd := slices.MinFunc(of.Results, byCrowd), slices.MaxFunc(of.Results, byCrowd); even.Crowd > 0 {
		parts = append(parts, fmt.Sprintf("within 100 ms at most %d clients came back to %s, and %d to %s",
			even.Crowd, even.Method, crowd.Crowd, crowd.Method))
	}
	return strings.Join(parts, "; ") + "."
}

func keysOf(m map[string]int) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func and(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}

// Peak is the height that the timelines of a scenario share.
func (of *scenarioResults) Peak() float64 { return of.peak }
