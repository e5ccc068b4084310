package bench

import (
	"slices"
)

// add counts one more repetition in res.
func (res *Result) add(m *Measurement) {
	if m.SteadyHistogram != nil && res.SteadyHistogram != nil {
		res.SteadyHistogram.Merge(m.SteadyHistogram.Histogram)
		res.RestartHistogram.Merge(m.RestartHistogram.Histogram)
	} else if m.SteadyHistogram != nil {
		res.SteadyHistogram, res.RestartHistogram = m.SteadyHistogram, m.RestartHistogram
	}
	if m.Timeline != nil && res.Timeline != nil {
		res.Timeline.add(m.Timeline)
	} else if m.Timeline != nil {
		res.Timeline = m.Timeline
	}
	m.SteadyHistogram, m.RestartHistogram, m.Timeline = nil, nil, nil // res has them

	res.Restarts += m.Restarts
	res.Requests += m.Requests
	res.Lost += m.Lost
	res.LostBy = sum(res.LostBy, m.LostBy)
	res.LostByRestart = append(res.LostByRestart, m.LostByRestart...)
	res.ClientFailures = sum(res.ClientFailures, m.ClientFailures)
	res.LongestSilence = max(res.LongestSilence, m.LongestSilence)
	res.Crowd = max(res.Crowd, m.Crowd)
	res.Errors = append(res.Errors, m.Errors...)
	if m.Resumed != nil {
		if res.Resumed == nil {
			res.Resumed = &Fraction{}
		}
		res.Resumed.Part += m.Resumed.Part
		res.Resumed.Of += m.Resumed.Of
	}
	res.Repetitions = append(res.Repetitions, m)
	res.summarize()
}

func (res *Result) summarize() {
	res.LostPerRestart = poissonInterval(res.Lost, res.Restarts)
	res.CPUPerRequest, _, _ = res.spread(func(m *Measurement) float64 { return m.CPUPerRequest })
	res.Restart.P50, _, _ = res.spread(func(m *Measurement) float64 { return m.Restart.P50 })
	_, _, res.Restart.Max = res.spread(func(m *Measurement) float64 { return m.Restart.Max })
	for _, l := range []struct {
		to *Latency
		of func(*Measurement) *Latency
	}{
		{&res.Steady, func(m *Measurement) *Latency { return &m.Steady }},
		{&res.RestartWindow, func(m *Measurement) *Latency { return &m.RestartWindow }},
	} {
		l.to.P50, _, _ = res.spread(func(m *Measurement) float64 { return l.of(m).P50 })
		l.to.P99, _, _ = res.spread(func(m *Measurement) float64 { return l.of(m).P99 })
		l.to.P999, _, _ = res.spread(func(m *Measurement) float64 { return l.of(m).P999 })
		_, _, l.to.Max = res.spread(func(m *Measurement) float64 { return l.of(m).Max })
	}
}

// spread is the median of a figure over the repetitions, and its range.
func (res *Result) spread(figure func(*Measurement) float64) (median, low, high float64) {
	var all []float64
	for _, m := range res.Repetitions {
		all = append(all, figure(m))
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2, all[0], all[n-1]
}

func sum(to, from map[string]int) map[string]int {
	if to == nil && len(from) > 0 {
		to = map[string]int{}
	}
	for k, n := range from {
		to[k] += n
	}
	return to
}
