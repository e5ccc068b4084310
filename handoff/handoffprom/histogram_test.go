package handoffprom

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func buckets(pairs ...float64) []*dto.Bucket {
	var all []*dto.Bucket
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, &dto.Bucket{UpperBound: new(pairs[i]), CumulativeCount: new(uint64(pairs[i+1]))})
	}
	return all
}

func printed(all []*dto.Bucket) string {
	var out []string
	for _, b := range all {
		out = append(out, fmt.Sprintf("%v:%d", b.GetUpperBound(), b.GetCumulativeCount()))
	}
	return fmt.Sprint(out)
}

func TestAddClassic(t *testing.T) {
	for _, x := range []struct {
		a, b []*dto.Bucket
		want string
	}{
		{buckets(1, 2, 5, 3), buckets(1, 10, 5, 20), "[1:12 5:23]"},
		{nil, buckets(1, 10), "[1:10]"},
		{buckets(1, 2, 5, 3), buckets(2, 10, 10, 20), "[1:2 2:12 5:13 10:23]"},
	} {
		if got := printed(addClassic(x.a, x.b)); got != x.want {
			t.Errorf("%s and %s make %s, want %s", printed(x.a), printed(x.b), got, x.want)
		}
	}
	var a, b []*dto.Bucket
	for i := range maxBuckets {
		a, b = append(a, buckets(float64(i), 1)...), append(b, buckets(float64(i)+0.5, 1)...)
	}
	if n := len(addClassic(a, b)); n != maxBuckets {
		t.Errorf("%d buckets, at most %d are wanted", n, maxBuckets)
	}
}

func observed(t *testing.T, o prometheus.HistogramOpts, values []float64) *dto.Histogram {
	o.Name = "h"
	h := prometheus.NewHistogram(o)
	for _, v := range values {
		h.Observe(v)
	}
	return histogramOf(t, h)
}

// A sum is what one histogram of all observations would be, in the coarser
// resolution.
func TestAddNative(t *testing.T) {
	factors := []float64{1.005, 1.1, 1.5, 3, 300}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, fa := range factors {
		for _, fb := range factors {
			var a, b []float64
			for range 300 {
				a = append(a, math.Exp(5*rng.NormFloat64()))
				b = append(b, -math.Exp(5*rng.NormFloat64()), 0, math.Exp(rng.NormFloat64()))
			}
			classic := []float64{0.1, 1, 10}
			sum := observed(t, prometheus.HistogramOpts{NativeHistogramBucketFactor: fa, Buckets: classic}, a)
			addHistogram(sum, observed(t, prometheus.HistogramOpts{NativeHistogramBucketFactor: fb, Buckets: classic}, b))
			want := observed(t, prometheus.HistogramOpts{NativeHistogramBucketFactor: max(fa, fb), Buckets: classic}, slices.Concat(a, b))
			if got, want := natives(t, sum), natives(t, want); got != want && len(got) < 100*maxBuckets {
				t.Errorf("factors %v and %v:\n%s\nwant\n%s", fa, fb, got, want)
			}
			if got, want := printed(sum.Bucket), printed(want.Bucket); got != want || sum.GetSampleCount() != 1200 {
				t.Errorf("factors %v and %v: %s, want %s", fa, fb, got, want)
			}
		}
	}
}

// natives prints the native buckets in a resolution that no sum exceeds.
func natives(t *testing.T, h *dto.Histogram) string {
	t.Helper()
	n, ok := readNative(h)
	if !ok {
		t.Fatalf("no native histogram: %v", h)
	}
	for len(n.positive)+len(n.negative) > maxBuckets {
		n.coarsen(n.schema - 1)
	}
	return fmt.Sprint(n)
}

// Buckets that reach into the other's zero bucket become part of it, and nothing
// is lost.
func TestAddNativeThresholds(t *testing.T) {
	values := []float64{0.001, 0.3, 0.5, 0.7, 2, -0.3, -0.7, -2}
	wide := observed(t, prometheus.HistogramOpts{NativeHistogramBucketFactor: 2, NativeHistogramZeroThreshold: 0.6}, values)
	narrow := observed(t, prometheus.HistogramOpts{NativeHistogramBucketFactor: 2, NativeHistogramZeroThreshold: 0.01}, values)
	for _, x := range [][2]*dto.Histogram{{wide, narrow}, {narrow, wide}} {
		a, _ := readNative(x[0])
		b, _ := readNative(x[1])
		a.add(b)
		// 0.7 is in (0.5, 1], which 0.6 divides.
		if want := (native{schema: 0, threshold: 1, zero: 12, positive: map[int64]int64{1: 2}, negative: map[int64]int64{1: 2}}); fmt.Sprint(a) != fmt.Sprint(want) {
			t.Errorf("got %+v, want %+v", a, want)
		}
	}
}

// Without observations a native histogram is still one, and where versions
// differ in kind the classic part remains.
func TestAddHistogramKinds(t *testing.T) {
	nativeOnly := func(v ...float64) *dto.Histogram {
		return observed(t, prometheus.HistogramOpts{NativeHistogramBucketFactor: 1.1}, v)
	}
	classic := func(v ...float64) *dto.Histogram {
		return observed(t, prometheus.HistogramOpts{Buckets: []float64{1}}, v)
	}
	for _, x := range []struct {
		name   string
		a, b   *dto.Histogram
		native bool
	}{
		{"both empty", nativeOnly(), nativeOnly(), true},
		{"the second empty", nativeOnly(1), nativeOnly(), true},
		{"an empty classic first", classic(), nativeOnly(1), true},
		{"an empty classic second", nativeOnly(1), classic(), true},
		{"a classic first", classic(1), nativeOnly(1), false},
		{"a classic second", nativeOnly(1), classic(1), false},
	} {
		count := x.a.GetSampleCount() + x.b.GetSampleCount()
		addHistogram(x.a, x.b)
		if _, ok := readNative(x.a); ok != x.native || x.a.GetSampleCount() != count {
			t.Errorf("%s: native %v, %d observations; want %v, %d", x.name, ok, x.a.GetSampleCount(), x.native, count)
		}
	}
}
