package drain

import (
	"math/rand/v2"
	"testing"
	"time"
)

// crowding closes n over the window, as due says, and returns how many times
// the even rate the fullest 100 ms had, and when the last went. A wake is late
// by what lateness says.
func crowding(n int, window time.Duration, lateness func() time.Duration) (peak float64, last time.Duration) {
	start := time.Now()
	p := newPace(start, start.Add(window))
	var gone []time.Duration
	for now := start; len(gone) < n; {
		k, next := p.due(n-len(gone), now)
		for range k {
			gone = append(gone, now.Sub(start))
		}
		now = next.Add(lateness())
	}
	from := 0
	for to, at := range gone {
		for at-gone[from] >= 100*time.Millisecond {
			from++
		}
		peak = max(peak, float64(to-from+1))
	}
	return peak / (float64(n) * float64(100*time.Millisecond) / float64(window)), gone[n-1]
}

func TestPace(t *testing.T) {
	punctual := func() time.Duration { return 0 }
	busy := func() time.Duration { // a machine that stalls, and a timer of a millisecond
		if rand.N(100) == 0 {
			return rand.N(80 * time.Millisecond)
		}
		return rand.N(2 * time.Millisecond)
	}
	for range 20 {
		peak, last := crowding(10_000, 10*time.Second, punctual)
		if peak > 1.05 || last < 9900*time.Millisecond || last > 10*time.Second {
			t.Errorf("punctual: %.2f times the even rate, the last after %v", peak, last)
		}
		peak, last = crowding(10_000, 10*time.Second, busy)
		if peak > 1.5 || last < 9900*time.Millisecond || last > 11*time.Second {
			t.Errorf("busy: %.2f times the even rate, the last after %v", peak, last)
		}
	}
	if peak, last := crowding(1000, 0, punctual); last != 0 {
		t.Errorf("no window: %v, the last after %v", peak, last)
	}
}

// Who looks after the deadline finds a window that has passed.
func TestPaceAfterTheWindow(t *testing.T) {
	now := time.Now()
	p := newPace(now, now.Add(-time.Second))
	if k, _ := p.due(3, now); k != 3 {
		t.Errorf("%d of 3 are due", k)
	}
}

// A crowd that shrinks by itself is spread over the whole window all the same,
// and one that grows does not go all at once.
func TestPaceOfChangingCrowd(t *testing.T) {
	start := time.Now()
	p := newPace(start, start.Add(10*time.Second))
	n, gone, next := 1000, 0, start
	var half time.Time
	for n > 0 {
		var k int
		now := next
		k, next = p.due(n, now)
		if gone += k; gone >= 100 && half.IsZero() {
			n, half = 200, now // 700 left by themselves
		}
		if n -= k; n > 0 && next.IsZero() {
			t.Fatalf("no turn for %d", n)
		}
		if n <= 0 && now.Sub(start) < 9*time.Second {
			t.Errorf("the last went after %v", now.Sub(start))
		}
	}
	k, _ := p.due(5000, start.Add(11*time.Second))
	if k > 100 {
		t.Errorf("%d of 5000 that came after the window went at once", k)
	}
}
