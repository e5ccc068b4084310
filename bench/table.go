package bench

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table writes the report as text for people: one line per method and
// scenario, the machine above, notes below.
func (r *Report) Table(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", r.Command)
	fmt.Fprintf(&b, "Linux %s, %d × %s, %s", r.Machine.Kernel, r.Machine.CPUs, r.Machine.Model, r.Machine.Go)
	for _, program := range slices.Sorted(maps.Keys(r.Machine.Versions)) {
		fmt.Fprintf(&b, ", %s %s", program, r.Machine.Versions[program])
	}
	fmt.Fprint(&b, "\n\n")

	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\t\t\t\tlost per restart\trestart window, ms\tsteady, ms\tlongest\trestart, ms\tCPU, µs\t\n")
	fmt.Fprint(t, "method\tscenario\trequests\tlost\t(95 % interval)\tp50/p99/p99.9/max\tp50/p99/p99.9/max\tsilence, ms\tp50/max\t/request\tlost by\n")
	for _, res := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s/%s\t%.0f\t%s\n",
			res.Method, res.Scenario, res.Requests, res.Lost, res.perRestart(),
			res.RestartWindow, res.Steady, short(res.LongestSilence),
			short(res.Restart.P50), short(res.Restart.Max), res.CPUPerRequest, lostBy(res.LostBy))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	r.ranges(&b)
	r.notes(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// ranges tells how far apart the repetitions are.
func (r *Report) ranges(w io.Writer) {
	head := false
	for _, res := range r.Results {
		if len(res.Repetitions) < 2 {
			continue
		}
		if !head {
			fmt.Fprint(w, "\nTimes above are medians of the repetitions, whose range is:\n\n")
			head = true
		}
		lostMedian, lostLow, lostHigh := res.spread(func(m *Measurement) float64 { return float64(m.Lost) })
		p99, p99Low, p99High := res.spread(func(m *Measurement) float64 { return m.RestartWindow.P99 })
		fmt.Fprintf(w, "  %s %s: lost %.0f (%.0f-%.0f), p99 in restart windows %s ms (%s-%s)\n", res.Method, res.Scenario,
			lostMedian, lostLow, lostHigh, short(p99), short(p99Low), short(p99High))
	}
}

func (r *Report) notes(w io.Writer) {
	if slices.ContainsFunc(r.Results, func(res *Result) bool { return res.Lost > 0 }) {
		fmt.Fprint(w, "\nnote: what was lost counts as the timeout in latencies\n")
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "\nskipped %s: %s\n", strings.TrimSpace(s.Method+" "+s.Scenario), s.Reason)
	}
	for _, res := range r.Results {
		if res.Rate > 0 {
			fmt.Fprintf(w, "\nnote: %s %s: open loop, %d requests due per second\n", res.Method, res.Scenario, res.Rate)
		}
		if res.Resumed != nil {
			fmt.Fprintf(w, "\nnote: %s %s: %d of %d TLS sessions of an older generation were resumed\n",
				res.Method, res.Scenario, res.Resumed.Part, res.Resumed.Of)
		}
		if res.Crowd > 0 {
			fmt.Fprintf(w, "\nnote: %s %s: at most %d clients came back within 100 ms\n", res.Method, res.Scenario, res.Crowd)
		}
		if len(res.ClientFailures) > 0 {
			fmt.Fprintf(w, "\nnote: %s %s: requests that were not made because the client side failed: %s; widen net.ipv4.ip_local_port_range, raise ulimit -n, or use -rate\n",
				res.Method, res.Scenario, lostBy(res.ClientFailures))
		}
		for _, e := range res.Errors {
			fmt.Fprintf(w, "\nerror: %s %s: %s\n", res.Method, res.Scenario, e)
		}
	}
	if r.Interrupted != "" {
		fmt.Fprintf(w, "\nnot complete: %s\n", r.Interrupted)
	}
}

// String is the four quantiles as the table shows them.
func (l Latency) String() string {
	return strings.Join([]string{short(l.P50), short(l.P99), short(l.P999), short(l.Max)}, "/")
}

// perRestart is the mean with its interval.
func (res *Result) perRestart() string {
	if res.Restarts == 0 {
		return "-"
	}
	i := res.LostPerRestart
	if i == (Interval{}) { // reports were written before it was recorded
		return few(res.meanLost())
	}
	return fmt.Sprintf("%s (%s-%s)", few(i.Mean), few(i.Low), few(i.High))
}

func (res *Result) meanLost() float64 { return float64(res.Lost) / float64(res.Restarts) }

func few(x float64) string {
	if x >= 10 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.1f", x)
}

func lostBy(m map[string]int) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		return strings.Compare(a, b)
	})
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%s %d", k, m[k])
	}
	if len(keys) == 0 {
		return "-"
	}
	return strings.Join(keys, ", ")
}

// short gives as many digits as are worth reading.
func short(ms float64) string {
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.2f", ms)
}
