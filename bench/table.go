package bench

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table writes the report as text for people: one line per method and
// scenario, the machine above, notes below.
func (r *Report) Table(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", r.Command)
	fmt.Fprintf(&b, "Linux %s, %d × %s, %s\n\n", r.Machine.Kernel, r.Machine.CPUs, r.Machine.Model, r.Machine.Go)

	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\t\t\t\tlost per\trestart window, ms\tsteady, ms\tlongest\trestart, ms\t\n")
	fmt.Fprint(t, "method\tscenario\trequests\tlost\trestart\tp50/p99/p99.9/max\tp50/p99/p99.9/max\tsilence, ms\tp50/max\tlost by\n")
	for _, res := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s/%s\t%s\n",
			res.Method, res.Scenario, res.Requests, res.Lost, perRestart(res),
			res.RestartWindow, res.Steady, short(res.LongestSilence),
			short(res.Restart.P50), short(res.Restart.Max), lostBy(res.LostBy))
	}
	if err := t.Flush(); err != nil {
		return err
	}

	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "\nskipped %s: %s\n", s.Method, s.Reason)
	}
	for _, res := range r.Results {
		if res.PortsExhausted > 0 {
			fmt.Fprintf(&b, "\nnote: %s %s: %d requests were not made because the client side had no free port; widen net.ipv4.ip_local_port_range or use -rate\n",
				res.Method, res.Scenario, res.PortsExhausted)
		}
		for _, e := range res.Errors {
			fmt.Fprintf(&b, "\nerror: %s %s: %s\n", res.Method, res.Scenario, e)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// String is the four quantiles as the table shows them.
func (l Latency) String() string {
	return strings.Join([]string{short(l.P50), short(l.P99), short(l.P999), short(l.Max)}, "/")
}

func perRestart(res *Result) string {
	if res.Restarts == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(res.Lost)/float64(res.Restarts))
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
