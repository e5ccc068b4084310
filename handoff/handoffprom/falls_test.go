package handoffprom

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A member is a generation that counts the same thing in every way.
type member struct {
	*fake
	counter prometheus.Counter
	sizes   prometheus.Histogram
	times   prometheus.Summary
	goOn    func() // while it hangs
}

func newMember(t *testing.T, dir string, n int, rng *rand.Rand) *member {
	m := &member{fake: newFake(t, dir, n, nil)}
	m.counter = m.fake.counter("a_total")
	bounds := [][]float64{{1, 2, 3}, {2, 4}, {0.5}}[rng.IntN(3)] // versions differ
	m.sizes = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "size_bytes", Buckets: bounds,
		NativeHistogramBucketFactor: []float64{1.1, 1.5}[rng.IntN(2)]})
	m.times = prometheus.NewSummary(prometheus.SummaryOpts{Name: "time_seconds"})
	m.reg.MustRegister(m.sizes, m.times)
	return m
}

func (m *member) count(rng *rand.Rand) {
	v := 5 * rng.Float64()
	m.counter.Inc()
	m.sizes.Observe(v)
	m.times.Observe(v)
}

// sums are what must not fall. A bound that a histogram lacks counts as 0 there.
func sums(all families) map[any]float64 {
	out := map[any]float64{}
	for name, f := range all {
		for _, m := range f.Metric {
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				out[name] += m.Counter.GetValue()
			case dto.MetricType_SUMMARY:
				out[name+"_count"] += float64(m.Summary.GetSampleCount())
			case dto.MetricType_HISTOGRAM:
				out[name+"_count"] += float64(m.Histogram.GetSampleCount())
				for _, b := range m.Histogram.Bucket {
					out[b.GetUpperBound()] += float64(b.GetCumulativeCount())
				}
				n, _ := readNative(m.Histogram)
				out["zero"] += float64(n.zero)
				for _, c := range n.positive {
					out["native"] += float64(c)
				}
			}
		}
	}
	return out
}

// Whatever happens to the generations and whoever gathers, nothing falls. The
// control, what the living ones say, does.
func TestSumsNeverFall(t *testing.T) {
	for _, x := range []struct {
		name  string
		kills bool
	}{{"with kills", true}, {"without", false}} {
		t.Run(x.name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			dir := controlDir(t)
			var living []*member
			generations, counted, fell := 0, 0.0, false
			last, lastOfLiving := map[any]float64{}, 0.0
			look := func(timeout time.Duration) {
				var gathering sync.WaitGroup
				var results [3]map[any]float64
				for i := range results {
					gathering.Go(func() { results[i] = sums(gather(t, NewGatherer(dir, &Options{Timeout: timeout}))) })
				}
				gathering.Wait()
				for _, now := range results {
					for what, v := range last {
						if now[what] < v {
							t.Errorf("%v fell from %v to %v", what, v, now[what])
						}
					}
					if now["a_total"] > counted {
						t.Errorf("%v were counted, %v are shown", counted, now["a_total"])
					}
				}
				for _, now := range results {
					for what, v := range now {
						last[what] = max(last[what], v)
					}
				}
				ofLiving := 0.0
				for _, m := range living {
					snap, err := snapshot(m.reg)
					if err != nil {
						t.Fatal(err)
					}
					ofLiving += total(snap, "a_total")
				}
				fell = fell || ofLiving < lastOfLiving
				lastOfLiving = ofLiving
			}
			generations++
			living = append(living, newMember(t, dir, generations, rng))
			look(patience)
			for range 150 {
				switch op := rng.IntN(10); {
				case op < 2 || len(living) == 0:
					generations++
					living = append(living, newMember(t, dir, generations, rng))
				case op < 4 && len(living) > 1:
					i := rng.IntN(len(living)) // not in their order
					m := living[i]
					living = append(living[:i], living[i+1:]...)
					if m.goOn != nil {
						m.goOn()
					}
					if x.kills && rng.IntN(2) == 0 {
						m.kill()
					} else {
						m.end(t)
					}
				case op == 4:
					m := living[rng.IntN(len(living))]
					if m.goOn != nil {
						m.goOn()
						m.goOn = nil
					} else if rng.IntN(2) == 0 {
						m.goOn = m.hang()
					}
				case op < 8:
					for _, m := range living {
						for range rng.IntN(5) {
							m.count(rng)
							counted++
						}
					}
				default:
					look(50 * time.Millisecond)
				}
			}
			for _, m := range living {
				if m.goOn != nil {
					m.goOn()
				}
				m.end(t)
			}
			living = nil
			look(patience)
			all := gather(t, patient(dir))
			if got := total(all, "a_total"); !x.kills && got != counted {
				t.Errorf("%v were counted, %v are shown at the end", counted, got)
			}
			if series := len(all["a_total"].Metric); series != 1 {
				t.Errorf("%d series of the generations that ended, not 1", series)
			}
			onlyFiles(t, dir, "ended.metrics")
			if !fell {
				t.Error("the living ones' sum did not fall either: nothing was shown")
			}
		})
	}
}
