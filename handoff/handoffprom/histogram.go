package handoffprom

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// validHistogram reports whether h can be summed, and sorts its buckets. Native
// buckets that make no sense are removed, so that the classic ones remain.
func validHistogram(h *dto.Histogram) bool {
	if h.SampleCountFloat != nil || h.GetSampleCount() > maxCount || slices.Contains(h.Bucket, nil) {
		return false // of floats: a gauge, or from no Go program
	}
	h.Bucket = slices.DeleteFunc(h.Bucket, func(b *dto.Bucket) bool { return math.IsInf(b.GetUpperBound(), 1) }) // the count says it
	for _, b := range h.Bucket {
		if math.IsNaN(b.GetUpperBound()) || b.CumulativeCountFloat != nil || b.GetCumulativeCount() > maxCount {
			return false
		}
	}
	slices.SortStableFunc(h.Bucket, func(a, b *dto.Bucket) int {
		switch {
		case a.GetUpperBound() < b.GetUpperBound():
			return -1
		case a.GetUpperBound() > b.GetUpperBound():
			return 1
		}
		return 0
	})
	h.Bucket = slices.CompactFunc(h.Bucket, func(a, b *dto.Bucket) bool { return a.GetUpperBound() == b.GetUpperBound() })
	if h.Schema != nil {
		if _, ok := readNative(h); !ok {
			clearNative(h)
		}
	}
	return true
}

// addHistogram adds h to sum. Of two generations with different native
// resolution the lower one is kept; where only one is native, neither is.
func addHistogram(sum, h *dto.Histogram) {
	a, aNative := readNative(sum)
	b, bNative := readNative(h)
	empty := sum.GetSampleCount() == 0
	sum.SampleCount = new(sum.GetSampleCount() + h.GetSampleCount())
	sum.SampleSum = new(sum.GetSampleSum() + h.GetSampleSum())
	sum.Bucket = addClassic(sum.Bucket, h.Bucket)
	switch {
	case aNative && bNative:
		a.add(b)
		a.write(sum)
	case bNative && empty:
		b.write(sum)
	case h.GetSampleCount() > 0:
		clearNative(sum)
	}
}

// addClassic adds cumulative buckets. A histogram that lacks a bound of the other
// counts there what it has below it: too little, but it never falls.
func addClassic(a, b []*dto.Bucket) []*dto.Bucket {
	var bounds []float64
	for _, x := range slices.Concat(a, b) {
		bounds = append(bounds, x.GetUpperBound())
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	if len(bounds) > maxBuckets { // a service whose bounds change with each version
		bounds = bounds[:0]
		for _, x := range a {
			bounds = append(bounds, x.GetUpperBound())
		}
	}
	out := make([]*dto.Bucket, 0, len(bounds))
	for _, bound := range bounds {
		out = append(out, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(atMost(a, bound) + atMost(b, bound))})
	}
	return out
}

// atMost counts what is known to be at most bound.
func atMost(buckets []*dto.Bucket, bound float64) uint64 {
	n := uint64(0)
	for _, b := range buckets {
		if b.GetUpperBound() <= bound {
			n = max(n, b.GetCumulativeCount())
		}
	}
	return n
}

const (
	// maxBuckets bounds the buckets of one sum, classic and native.
	maxBuckets = 500
	// maxCount is more than anything can count, and sums of it do not overflow.
	maxCount = 1 << 56
)
