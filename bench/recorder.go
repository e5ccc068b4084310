package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A recorder keeps what the clients of one load saw. Latencies go to one of
// two histograms: that of the restart windows, for a request any part of
// which lies in one, and that of the steady time otherwise.
type recorder struct {
	timeout time.Duration // the latency of what is lost: leaving it out would flatter

	mu       sync.Mutex
	requests int
	lost     map[string]int
	lostIn   []int          // by restart window and the time after it
	client   map[string]int // failures that are the client side's own
	resumed  Fraction

	steady, restart *Histogram
	inWindow        bool
	moments         moments

	lastAnswer time.Time
	silence    time.Duration

	first    map[int]time.Time // first answer by generation
	youngest int               // generation that has answered
	news     chan struct{}     // closed and replaced when first grows
}

func newRecorder(timeout time.Duration) *recorder {
	now := time.Now()
	return &recorder{
		timeout:    timeout,
		lost:       map[string]int{},
		client:     map[string]int{},
		steady:     newHistogram(),
		restart:    newHistogram(),
		moments:    moments{start: now, ended: map[moment]int{}},
		lastAnswer: now,
		first:      map[int]time.Time{},
		news:       make(chan struct{}),
	}
}

// warmedUp forgets the latencies so far: caches, connections and the clocks of
// the processors were cold. What was lost stays lost.
func (r *recorder) warmedUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steady.Reset()
	r.silence, r.lastAnswer = 0, time.Now()
}

// record notes a request that was due at from and has just ended.
func (r *recorder) record(from time.Time, generation int, f *failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if f != nil && f.kind.ofClient() {
		r.client[string(f.kind)]++
		return
	}
	r.requests++
	latencies, took := r.steady, now.Sub(from)
	// It ends now, so it touches a window if one is open, or if it began
	// before the last one ended.
	if n := len(r.moments.windows); r.inWindow || n > 0 && !from.After(r.moments.windows[n-1].close) {
		latencies = r.restart
	}
	if f != nil {
		r.lost[f.key()]++
		if n := len(r.lostIn); n > 0 {
			r.lostIn[n-1]++
		}
		r.moments.add(now, lostMoment)
		latencies.record(max(took, r.timeout))
		return
	}
	latencies.record(took)
	r.moments.add(now, generation)
	r.heard(now)
	if _, ok := r.first[generation]; !ok {
		r.first[generation] = now
		r.youngest = max(r.youngest, generation)
		close(r.news)
		r.news = make(chan struct{})
	}
}

// handshake notes whether a TLS session of another generation was resumed.
func (r *recorder) handshake(resumed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resumed.Of++
	if resumed {
		r.resumed.Part++
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
	r.lostIn = append(r.lostIn, 0)
	r.moments.windows = append(r.moments.windows, window{open: time.Now(), youngest: r.youngest})
}

func (r *recorder) closeWindow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inWindow = false
	r.moments.windows[len(r.moments.windows)-1].close = time.Now()
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

// fill puts what was seen into m.
func (r *recorder) fill(m *Measurement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.Requests = r.requests
	m.ClientFailures = r.client
	m.LostBy, m.LostByRestart = r.lost, r.lostIn
	for _, n := range r.lost {
		m.Lost += n
	}
	if r.resumed.Of > 0 {
		m.Resumed = &r.resumed
	}
	m.SteadyHistogram, m.RestartHistogram = r.steady, r.restart
	m.Steady, m.RestartWindow = r.steady.latency(), r.restart.latency()
	m.Timeline = r.moments.timeline()
	m.LongestSilence = milliseconds(r.silence)
}
