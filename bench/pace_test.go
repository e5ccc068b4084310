package bench

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// stalling answers at once, but for its tenth request, which takes 200 ms.
type stalling struct{ requests int }

func (c *stalling) do(ctx context.Context) (int, *failure) {
	c.requests++
	d := time.Millisecond
	if c.requests == 10 {
		d = 200 * time.Millisecond
	}
	wait(ctx, d, nil)
	return 1, nil
}

func (c *stalling) close() {}

// slowAnswers puts one stalling client under load for a second and counts the
// answers that took 50 ms or more.
func slowAnswers(t *testing.T, rate int) (slow int64, worst time.Duration) {
	s := &scenario{client: func(*target) client { return &stalling{} }}
	l := startLoad(t.Context(), s, target{}, &Options{Conns: 1, Rate: rate})
	wait(t.Context(), time.Second-time.Millisecond/2, nil)
	l.finish()
	for _, bar := range l.steady.Distribution() {
		if bar.From >= 50_000 {
			slow += bar.Count
		}
	}
	return slow, time.Duration(l.steady.Max()) * time.Microsecond
}

// A stall of 200 ms at 100 requests/s delays twenty requests. The nth is late
// by 200 ms less n times 9 ms: 10 ms between two that are due, 1 ms to answer.
func TestOpenLoopCountsFromTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, worst := slowAnswers(t, 100)
		if slow != 17 {
			t.Errorf("%d answers took 50 ms or more, want 17", slow)
		}
		if worst.Round(time.Millisecond) != 200*time.Millisecond {
			t.Errorf("worst %v, want 200ms", worst)
		}
	})
}

// The control: a closed loop shows one slow answer, as the stall also stopped
// the requests that it would have delayed.
func TestClosedLoopOmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if slow, _ := slowAnswers(t, 0); slow != 1 {
			t.Errorf("%d answers took 50 ms or more, want 1", slow)
		}
	})
}

func TestOpenLoopMakesEveryDueRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Two seconds of answers for one second of requests: what was due
		// before the end is made after it, and nothing else.
		s := &scenario{client: func(*target) client { return constant(20 * time.Millisecond) }}
		l := startLoad(t.Context(), s, target{}, &Options{Conns: 1, Rate: 100})
		wait(t.Context(), time.Second-time.Millisecond, nil)
		l.finish()
		if l.requests != 100 {
			t.Errorf("%d requests, want 100", l.requests)
		}
	})
}

// constant is a client whose every answer takes this long.
type constant time.Duration

func (c constant) do(ctx context.Context) (int, *failure) {
	wait(ctx, time.Duration(c), nil)
	return 1, nil
}

func (c constant) close() {}
