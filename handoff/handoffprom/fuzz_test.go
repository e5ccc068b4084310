package handoffprom

import (
	"bytes"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// corpus has a family of each type.
func corpus(f *testing.F) []byte {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a_total", Help: "A."}, []string{"x"})
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "b_seconds", Buckets: []float64{1, 2}, NativeHistogramBucketFactor: 1.5})
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "c_seconds", Objectives: map[float64]float64{0.5: 0.1}})
	reg.MustRegister(c, h, s, prometheus.NewGauge(prometheus.GaugeOpts{Name: "d"}))
	c.WithLabelValues("1").Add(3)
	for _, v := range []float64{-1, 0, 0.5, 1.5, 100} {
		h.Observe(v)
		s.Observe(v)
	}
	all, err := snapshot(reg)
	var b bytes.Buffer
	if err == nil {
		err = encode(&b, all)
	}
	if err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// Whatever is in a file or an answer, it can be added up, joined, merged, kept
// and shown, and the sums have no more and no less than was added.
func FuzzDecode(f *testing.F) {
	b := corpus(f)
	f.Add(b, b)
	f.Add(b, b[:len(b)/2])
	f.Add([]byte{}, []byte{0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		read := func(b []byte) families {
			all, err := decode(b, delimited)
			if err != nil {
				return nil
			}
			return all
		}
		a, b := read(first), read(second)
		sums := families{}
		sums.fold(read(first))
		before := counts(sums)
		sums.fold(read(second))
		after := counts(sums)
		for name, n := range before {
			if after[name] < n && sums[name].GetType() == a[name].GetType() {
				t.Errorf("%s fell from %v to %v", name, n, after[name])
			}
		}
		again := reread(t, sums)
		if got, want := len(again), len(sums.sorted()); got != want {
			t.Errorf("%d of %d families can be read again", got, want)
		}
		all := families{}
		merge(all, join(a, b), "1")
		merge(all, sums, endedValue)
		reread(t, all)
		text(t, all)
	})
}

// counts are how much each counter and histogram has counted.
func counts(all families) map[string]float64 {
	out := map[string]float64{}
	for name, f := range all {
		for _, m := range f.Metric {
			if f.GetType() == dto.MetricType_COUNTER {
				out[name] += m.Counter.GetValue()
			} else if m.Histogram != nil {
				out[name] += float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return out
}

func reread(t *testing.T, all families) families {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, all); err != nil {
		t.Fatal(err)
	}
	again, err := decode(b.Bytes(), delimited)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func FuzzAnswerText(f *testing.F) {
	f.Add([]byte("# HELP a A.\n# TYPE a counter\na{x=\"1\"} 1\n"))
	f.Add([]byte("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := decode(b, expfmt.FmtText)
		if err != nil {
			return
		}
		reread(t, all)
		text(t, all)
	})
}

func FuzzEnded(f *testing.F) {
	b := corpus(f)
	f.Add(append([]byte("{\"through\":7,\"except\":[3,5]}\n"), b...))
	f.Add([]byte("{}"))
	f.Add([]byte("{\"through\":-1}\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEnded(b)
		if err != nil {
			return
		}
		if written, err := e.format(); err != nil {
			t.Error(err)
		} else if again, err := parseEnded(written); err != nil || len(again.sums.sorted()) != len(e.sums.sorted()) || again.through != e.through {
			t.Errorf("what was written is read as %+v, %v", again, err)
		}
	})
}
