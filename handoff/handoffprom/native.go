package handoffprom

import (
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// native are the buckets of a native histogram: bucket i of schema s counts
// what is in (2^((i-1)·2^-s), 2^(i·2^-s)], and the zero bucket what is within
// its threshold (client_model's metrics.proto).
type native struct {
	schema             int32
	threshold          float64
	zero               uint64
	positive, negative map[int64]int64
}

// Schemas outside of these are not exponential.
const minSchema, maxSchema = -4, 8

func readNative(h *dto.Histogram) (n native, ok bool) {
	if h.Schema == nil || h.GetSchema() < minSchema || h.GetSchema() > maxSchema || h.ZeroCountFloat != nil ||
		len(h.PositiveCount) > 0 || len(h.NegativeCount) > 0 || !(h.GetZeroThreshold() >= 0) {
		return n, false
	}
	n = native{schema: h.GetSchema(), threshold: h.GetZeroThreshold(), zero: h.GetZeroCount()}
	var okP, okN bool
	n.positive, okP = readSpans(h.PositiveSpan, h.PositiveDelta)
	n.negative, okN = readSpans(h.NegativeSpan, h.NegativeDelta)
	// Without any span a histogram counts as classic.
	return n, okP && okN && (len(h.PositiveSpan) > 0 || len(h.NegativeSpan) > 0 || h.ZeroThreshold != nil)
}

// readSpans reads the buckets of one sign; it fails unless spans and deltas fit.
func readSpans(spans []*dto.BucketSpan, deltas []int64) (map[int64]int64, bool) {
	buckets := map[int64]int64{}
	var index, count int64
	for _, s := range spans {
		if s == nil || int(s.GetLength()) > len(deltas) {
			return nil, false
		}
		index += int64(s.GetOffset())
		for _, d := range deltas[:s.GetLength()] {
			if count += d; count < 0 || index < math.MinInt32/2 || index > math.MaxInt32/2 {
				return nil, false
			}
			if count > 0 {
				buckets[index] += count
			}
			index++
		}
		deltas = deltas[s.GetLength():]
	}
	return buckets, len(deltas) == 0
}

func (n *native) add(m native) {
	schema := min(n.schema, m.schema)
	n.coarsen(schema)
	m.coarsen(schema)
	// A bucket that reaches into the other's zero bucket becomes part of it.
	for threshold := max(n.threshold, m.threshold); n.threshold != threshold || m.threshold != threshold; {
		threshold = max(n.widen(threshold), m.widen(threshold))
	}
	n.zero += m.zero
	for i, c := range m.positive {
		n.positive[i] += c
	}
	for i, c := range m.negative {
		n.negative[i] += c
	}
	for len(n.positive)+len(n.negative) > maxBuckets && n.schema > minSchema {
		n.coarsen(n.schema - 1)
	}
}

// coarsen joins buckets until the schema is that one.
func (n *native) coarsen(schema int32) {
	by := n.schema - schema
	if by == 0 {
		return
	}
	for _, buckets := range []*map[int64]int64{&n.positive, &n.negative} {
		joined := map[int64]int64{}
		for i, c := range *buckets {
			joined[(i-1)>>by+1] += c
		}
		*buckets = joined
	}
	n.schema = schema
}

// widen makes the zero bucket reach to threshold, or as far as the bucket does
// in which that is, and returns how far that is.
func (n *native) widen(threshold float64) float64 {
	if n.threshold == threshold {
		return threshold
	}
	reach := threshold
	for _, buckets := range []map[int64]int64{n.positive, n.negative} {
		for i, c := range buckets {
			if n.bound(i-1) < threshold {
				reach = max(reach, n.bound(i))
				n.zero += uint64(c)
				delete(buckets, i)
			}
		}
	}
	n.threshold = threshold
	return reach
}

// bound is the upper bound of bucket i.
func (n *native) bound(i int64) float64 {
	return math.Exp2(math.Ldexp(float64(i), -int(n.schema)))
}

func (n *native) write(h *dto.Histogram) {
	h.Schema, h.ZeroThreshold, h.ZeroCount = new(n.schema), new(n.threshold), new(n.zero)
	h.PositiveSpan, h.PositiveDelta = writeSpans(n.positive)
	h.NegativeSpan, h.NegativeDelta = writeSpans(n.negative)
	if len(h.PositiveSpan) == 0 && len(h.NegativeSpan) == 0 {
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}} // tells that it is native
	}
}

func writeSpans(buckets map[int64]int64) (spans []*dto.BucketSpan, deltas []int64) {
	var next, count int64
	for _, i := range slices.Sorted(maps.Keys(buckets)) {
		if len(spans) == 0 || i != next {
			spans = append(spans, &dto.BucketSpan{Offset: new(int32(i - next)), Length: new(uint32(0))})
		}
		last := spans[len(spans)-1]
		last.Length = new(last.GetLength() + 1)
		deltas = append(deltas, buckets[i]-count)
		next, count = i+1, buckets[i]
	}
	return spans, deltas
}

func clearNative(h *dto.Histogram) {
	h.Schema, h.ZeroThreshold, h.ZeroCount, h.ZeroCountFloat = nil, nil, nil, nil
	h.PositiveSpan, h.PositiveDelta, h.PositiveCount = nil, nil, nil
	h.NegativeSpan, h.NegativeDelta, h.NegativeCount = nil, nil, nil
}
