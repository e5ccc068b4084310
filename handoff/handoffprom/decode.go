package handoffprom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// families are metric families by name, whose series are valid and distinct.
type families map[string]*dto.MetricFamily

// delimited is the form of the files, and what generations are asked for: the
// text form has no native histograms.
var delimited = expfmt.FmtProtoDelim.WithEscapingScheme(model.NoEscaping)

// maxBytes bounds one generation's answer, and its file.
const maxBytes = 4 << 20

// decode reads what a generation answered or left. It fails on what is no
// exposition at all, and leaves single series out that are not valid: they
// would fail the scrape of all.
func decode(b []byte, format expfmt.Format) (families, error) {
	if format.FormatType() == expfmt.TypeProtoDelim {
		if err := checkDelimiters(b); err != nil {
			return nil, err
		}
	}
	all := families{}
	for d := expfmt.NewDecoder(bytes.NewReader(b), format); ; {
		f := &dto.MetricFamily{}
		err := d.Decode(f)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if all[f.GetName()] != nil {
			return nil, fmt.Errorf("the family %s comes twice", f.GetName())
		}
		clean(f)
		all[f.GetName()] = f
	}
}

// checkDelimiters makes sure that no message claims to be longer than what
// there is: the decoder would allocate as much.
func checkDelimiters(b []byte) error {
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return fmt.Errorf("a message of %d bytes where %d are left", size, len(b))
		}
		b = b[n+int(size):]
	}
	return nil
}

func encode(w io.Writer, all families) error {
	e := expfmt.NewEncoder(w, delimited)
	for _, f := range all.sorted() {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

func (all families) sorted() []*dto.MetricFamily {
	var out []*dto.MetricFamily
	for _, f := range all {
		if len(f.Metric) > 0 {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out
}

// clean drops the series of f that are not valid or come twice, and sorts the
// labels of the others.
func clean(f *dto.MetricFamily) {
	if !model.UTF8Validation.IsValidMetricName(f.GetName()) {
		f.Metric = nil
		return
	}
	if f.Help != nil {
		f.Help = new(strings.ToValidUTF8(f.GetHelp(), "\uFFFD"))
	}
	f.Type = new(f.GetType()) // absent means counter
	seen := map[string]bool{}
	f.Metric = slices.DeleteFunc(f.Metric, func(m *dto.Metric) bool {
		if m == nil || !validLabels(m) || !validValue(f.GetType(), m) {
			return true
		}
		key := keyOf(m)
		if seen[key] {
			return true
		}
		seen[key] = true
		return false
	})
}

func validLabels(m *dto.Metric) bool {
	if slices.Contains(m.Label, nil) {
		return false
	}
	sortLabels(m)
	for i, l := range m.Label {
		if !model.UTF8Validation.IsValidLabelName(l.GetName()) || !model.LabelValue(l.GetValue()).IsValid() ||
			i > 0 && l.GetName() == m.Label[i-1].GetName() {
			return false
		}
	}
	return true
}

func sortLabels(m *dto.Metric) {
	slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
}

// validValue reports whether m has the value that its type wants.
func validValue(t dto.MetricType, m *dto.Metric) bool {
	switch t {
	case dto.MetricType_COUNTER:
		return m.Counter != nil && !math.IsNaN(m.Counter.GetValue()) && m.Counter.GetValue() >= 0
	case dto.MetricType_GAUGE:
		return m.Gauge != nil
	case dto.MetricType_UNTYPED:
		return m.Untyped != nil
	case dto.MetricType_SUMMARY:
		return m.Summary != nil && m.Summary.GetSampleCount() <= maxCount && !slices.Contains(m.Summary.Quantile, nil)
	case dto.MetricType_HISTOGRAM:
		return m.Histogram != nil && validHistogram(m.Histogram)
	case dto.MetricType_GAUGE_HISTOGRAM:
		return m.Histogram != nil && !slices.Contains(m.Histogram.Bucket, nil)
	}
	return false
}

// keyOf identifies a series by its labels, which are sorted. No valid text
// holds the byte 0xff.
func keyOf(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.Label {
		b.WriteString(l.GetName() + "\xff" + l.GetValue() + "\xff")
	}
	return b.String()
}

// cumulative reports whether a type's values only grow, so that what is known
// of an ended generation still counts.
func cumulative(t dto.MetricType) bool {
	return t == dto.MetricType_COUNTER || t == dto.MetricType_HISTOGRAM || t == dto.MetricType_SUMMARY
}

// onlyCumulative returns all without the gauges.
func (all families) onlyCumulative() families {
	kept := families{}
	for name, f := range all {
		if cumulative(f.GetType()) {
			kept[name] = f
		}
	}
	return kept
}
