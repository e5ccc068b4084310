package bench

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLatency bounds the histograms; no request lasts that long.
const maxLatency = time.Minute

// A Histogram of microseconds whose text form is that of HdrHistogram, V2
// compressed and base64, which its tools read.
type Histogram struct{ *hdrhistogram.Histogram }

func newHistogram() *Histogram {
	return &Histogram{hdrhistogram.New(1, maxLatency.Microseconds(), 3)}
}

func (h *Histogram) record(d time.Duration) {
	_ = h.RecordValue(max(0, min(d, maxLatency).Microseconds()))
}

// MarshalText writes the compressed form.
func (h *Histogram) MarshalText() ([]byte, error) {
	return h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// UnmarshalText reads the compressed form; anything else is an error.
func (h *Histogram) UnmarshalText(b []byte) (err error) {
	// The decoder of a file from outside must not end the program.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bench: malformed histogram: %v", p)
		}
	}()
	h.Histogram, err = hdrhistogram.Decode(b)
	return err
}

func (h *Histogram) latency() Latency {
	ms := func(q float64) float64 {
		return milliseconds(time.Duration(h.ValueAtQuantile(q)) * time.Microsecond)
	}
	return Latency{P50: ms(50), P99: ms(99), P999: ms(99.9),
		Max: milliseconds(time.Duration(h.Max()) * time.Microsecond)}
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}
