package handoffprom

import dto "github.com/prometheus/client_model/go"

// maxSeries bounds what is kept of generations that have ended: a service whose
// label values come and go would make it grow with every restart.
const maxSeries = 20_000

// fold adds the numbers of a generation that has ended to sums. It reports how
// many series had no room. What it adds becomes part of sums.
func (sums families) fold(last families) (dropped int) {
	series := 0
	for _, f := range sums {
		series += len(f.Metric)
	}
	for name, f := range last {
		if !cumulative(f.GetType()) {
			continue
		}
		sum := sums[name]
		if sum == nil || sum.GetType() != f.GetType() {
			if sum != nil {
				series -= len(sum.Metric)
			}
			sum = &dto.MetricFamily{Name: f.Name, Type: f.Type, Unit: f.Unit}
			sums[name] = sum
		}
		sum.Help = f.Help
		known := byKey(sum)
		for _, m := range f.Metric {
			switch to := known[keyOf(m)]; {
			case to != nil:
				add(to, m)
			case series < maxSeries:
				series++
				sum.Metric = append(sum.Metric, bare(m))
			default:
				dropped++
			}
		}
	}
	return dropped
}

// bare is m without what belongs to one moment.
func bare(m *dto.Metric) *dto.Metric {
	m.TimestampMs = nil
	switch {
	case m.Counter != nil:
		m.Counter.Exemplar, m.Counter.CreatedTimestamp = nil, nil
	case m.Summary != nil:
		m.Summary.Quantile, m.Summary.CreatedTimestamp = nil, nil
	case m.Histogram != nil:
		m.Histogram.Exemplars, m.Histogram.CreatedTimestamp = nil, nil
		for _, b := range m.Histogram.Bucket {
			b.Exemplar = nil
		}
	}
	return m
}

// add adds m to a series of the same type.
func add(to, m *dto.Metric) {
	switch {
	case to.Counter != nil:
		to.Counter.Value = new(to.Counter.GetValue() + m.Counter.GetValue())
	case to.Summary != nil:
		to.Summary.SampleCount = new(to.Summary.GetSampleCount() + m.Summary.GetSampleCount())
		to.Summary.SampleSum = new(to.Summary.GetSampleSum() + m.Summary.GetSampleSum())
	case to.Histogram != nil:
		addHistogram(to.Histogram, bare(m).Histogram)
	}
}
