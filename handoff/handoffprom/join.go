package handoffprom

import dto "github.com/prometheus/client_model/go"

// join raises the counters of a generation, as it answered, to what was known
// of it before. Answers may be older than what another process has written
// meanwhile, and a generation's counters only grow: so the greater is the newer.
func join(answered, known families) families {
	for name, f := range answered {
		former := known[name]
		if former == nil || former.GetType() != f.GetType() || !cumulative(f.GetType()) {
			continue
		}
		before := byKey(former)
		for _, m := range f.Metric {
			if b := before[keyOf(m)]; b != nil && newer(b, m) {
				m.Counter, m.Summary, m.Histogram = b.Counter, b.Summary, b.Histogram
			}
		}
	}
	return answered
}

// newer reports whether a was seen after b, two values of one series.
func newer(a, b *dto.Metric) bool {
	return a.GetCounter().GetValue() > b.GetCounter().GetValue() ||
		a.GetHistogram().GetSampleCount() > b.GetHistogram().GetSampleCount() ||
		a.GetSummary().GetSampleCount() > b.GetSummary().GetSampleCount()
}

func byKey(f *dto.MetricFamily) map[string]*dto.Metric {
	all := make(map[string]*dto.Metric, len(f.Metric))
	for _, m := range f.Metric {
		all[keyOf(m)] = m
	}
	return all
}
