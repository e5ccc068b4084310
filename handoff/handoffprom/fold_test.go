package handoffprom

import (
	"fmt"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

func parse(t *testing.T, text string) families {
	t.Helper()
	all, err := decode([]byte(text), expfmt.FmtText)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFold(t *testing.T) {
	sums := families{}
	for _, version := range []string{`
# HELP a_total Old help.
# TYPE a_total counter
a_total{x="1"} 1
a_total{x="2"} 2
# TYPE depth gauge
depth 5
# TYPE latency_seconds summary
latency_seconds{quantile="0.5"} 3
latency_seconds_sum 10
latency_seconds_count 4
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} 1
size_bytes_bucket{le="+Inf"} 3
size_bytes_sum 7
size_bytes_count 3
# TYPE changed_total counter
changed_total 9
`, `
# HELP a_total New help.
# TYPE a_total counter
a_total{x="2"} 20
a_total{x="3"} 30
# TYPE latency_seconds summary
latency_seconds_sum 1
latency_seconds_count 2
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} 10
size_bytes_bucket{le="+Inf"} 30
size_bytes_sum 70
size_bytes_count 30
# TYPE changed_total summary
changed_total_sum 1
changed_total_count 1
`} {
		if dropped := sums.fold(parse(t, version)); dropped != 0 {
			t.Errorf("dropped %d series", dropped)
		}
	}
	wantText(t, sums, `
# HELP a_total New help.
# TYPE a_total counter
a_total{x="1"} 1
a_total{x="2"} 22
a_total{x="3"} 30
# TYPE changed_total summary
changed_total_sum 1
changed_total_count 1
# TYPE latency_seconds summary
latency_seconds_sum 11
latency_seconds_count 6
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} 11
size_bytes_bucket{le="+Inf"} 33
size_bytes_sum 77
size_bytes_count 33
`)
}

// Label values that come and go with each generation do not grow without bound,
// and those that are known go on.
func TestFoldIsBounded(t *testing.T) {
	users := func(from, n int) families {
		f := &dto.MetricFamily{Name: new("seen_total"), Type: new(dto.MetricType_COUNTER)}
		for i := range n {
			f.Metric = append(f.Metric, &dto.Metric{
				Label:   []*dto.LabelPair{{Name: new("user"), Value: new(fmt.Sprint(from + i))}},
				Counter: &dto.Counter{Value: new(1.0)},
			})
		}
		return families{"seen_total": f}
	}
	sums := families{}
	sums.fold(users(0, maxSeries-1))
	if dropped := sums.fold(users(maxSeries-2, 10)); dropped != 8 || len(sums["seen_total"].Metric) != maxSeries {
		t.Errorf("dropped %d, %d series remain", dropped, len(sums["seen_total"].Metric))
	}
	if got, want := total(sums, "seen_total"), float64(maxSeries+1); got != want {
		t.Errorf("total %v, want %v", got, want)
	}
}

func TestJoin(t *testing.T) {
	joined := join(parse(t, `
# TYPE a_total counter
a_total{x="1"} 1
a_total{x="2"} 9
# TYPE depth gauge
depth 5
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} 1
size_bytes_bucket{le="+Inf"} 3
size_bytes_sum 7
size_bytes_count 3
# TYPE changed gauge
changed 1
`), parse(t, `
# TYPE a_total counter
a_total{x="1"} 4
a_total{x="2"} 5
a_total{x="removed by the service"} 5
# TYPE depth gauge
depth 8
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} 2
size_bytes_bucket{le="+Inf"} 4
size_bytes_sum 9
size_bytes_count 4
# TYPE changed counter
changed 5
`))
	wantText(t, joined, `
# TYPE a_total counter
a_total{x="1"} 4
a_total{x="2"} 9
# TYPE changed gauge
changed 1
# TYPE depth gauge
depth 5
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} 2
size_bytes_bucket{le="+Inf"} 4
size_bytes_sum 9
size_bytes_count 4
`)
}
