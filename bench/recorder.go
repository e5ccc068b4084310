package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A recorder keeps what the clients of one load saw. Latencies go to one of
// two histograms: that of the restart windows, for a request any part of
// which lies in one, and that of the steady time otherwise.
type recorder struct {
	mu       sync.Mutex
	requests int
	lost     map[string]int
	ports    int

	steady, restart *hdrhistogram.Histogram // microseconds
	inWindow        bool
	windowEnd       time.Time // of the last window

	lastAnswer time.Time
	silence    time.Duration

	first map[int]time.Time // first answer by generation
	news  chan struct{}     // closed and replaced when first grows
}

// maxLatency bounds the histograms; no request lasts that long.
const maxLatency = time.Minute

func newRecorder() *recorder {
	return &recorder{
		lost:       map[string]int{},
		steady:     newHistogram(),
		restart:    newHistogram(),
		lastAnswer: time.Now(),
		first:      map[int]time.Time{},
		news:       make(chan struct{}),
	}
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency.Microseconds(), 3)
}

// record notes a request that was due at from and has just ended.
func (r *recorder) record(from time.Time, generation int, f *failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if f != nil && f.kind == ports {
		r.ports++
		return
	}
	r.requests++
	if f != nil {
		r.lost[f.key()]++
		return
	}
	h := r.steady
	// It ends now, so it touches a window if one is open, or if it began
	// before the last one ended.
	if r.inWindow || !from.After(r.windowEnd) {
		h = r.restart
	}
	_ = h.RecordValue(min(now.Sub(from), maxLatency).Microseconds())
	r.heard(now)
	if _, ok := r.first[generation]; !ok {
		r.first[generation] = now
		close(r.news)
		r.news = make(chan struct{})
	}
}

func (r *recorder) heard(now time.Time) {
	r.silence = max(r.silence, now.Sub(r.lastAnswer))
	r.lastAnswer = now
}

// openWindow begins a restart window, closeWindow ends it.
func (r *recorder) openWindow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inWindow = true
}

func (r *recorder) closeWindow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inWindow = false
	r.windowEnd = time.Now()
}

// answered waits for the first answer of a generation and returns its time.
func (r *recorder) answered(ctx context.Context, generation int) (time.Time, error) {
	for {
		r.mu.Lock()
		t, ok := r.first[generation]
		news := r.news
		r.mu.Unlock()
		if ok {
			return t, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("generation %d is ready but answered no request: %w", generation, context.Cause(ctx))
		}
	}
}

// finish counts the silence up to now.
func (r *recorder) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard(time.Now())
}

// fill puts what was seen into res.
func (r *recorder) fill(res *Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res.Requests = r.requests
	res.PortsExhausted = r.ports
	res.LostBy = r.lost
	for _, n := range r.lost {
		res.Lost += n
	}
	res.Steady = latencyOf(r.steady)
	res.RestartWindow = latencyOf(r.restart)
	res.LongestSilence = milliseconds(r.silence)
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	ms := func(q float64) float64 {
		return milliseconds(time.Duration(h.ValueAtQuantile(q)) * time.Microsecond)
	}
	return Latency{P50: ms(50), P99: ms(99), P999: ms(99.9),
		Max: milliseconds(time.Duration(h.Max()) * time.Microsecond)}
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}
