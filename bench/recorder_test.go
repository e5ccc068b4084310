package bench

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestLatenciesAreKeptByWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(time.Second)
		pass := func(d time.Duration) { wait(t.Context(), d, nil) }
		begin := func() time.Time { return time.Now() }

		before := begin() // steady from end to end
		pass(1 * time.Millisecond)
		r.record(before, 1, nil)

		across := begin() // ends in the window
		pass(1 * time.Millisecond)
		r.openWindow()
		pass(4 * time.Millisecond)
		r.record(across, 1, nil)

		out := begin() // begins in the window
		pass(1 * time.Millisecond)
		r.closeWindow()
		pass(6 * time.Millisecond)
		r.record(out, 2, nil)

		after := begin()
		pass(2 * time.Millisecond)
		r.record(after, 2, nil)

		if n := r.steady.TotalCount(); n != 2 || r.steady.Max() > 2050 {
			t.Errorf("steady: %d requests, max %d µs; want 2, 2000", n, r.steady.Max())
		}
		if n := r.restart.TotalCount(); n != 2 || r.restart.Min() < 4900 {
			t.Errorf("restart window: %d requests, min %d µs; want 2, 5000", n, r.restart.Min())
		}
	})
}

// To leave out what was not answered would flatter who loses it.
func TestLossIsTheTimeoutInLatency(t *testing.T) {
	r := newRecorder(5 * time.Second)
	r.record(time.Now(), 1, nil)
	r.record(time.Now(), 0, fail(firstByte, io.EOF))
	if n, most := r.steady.TotalCount(), r.steady.Max(); n != 2 || most < 5e6 || most > 5.1e6 {
		t.Errorf("%d latencies, the longest of %d µs; want 2, 5 s", n, most)
	}
}

func TestLossesAreKeptByRestart(t *testing.T) {
	r := newRecorder(time.Second)
	lose := func() { r.record(time.Now(), 0, fail(dialing, context.DeadlineExceeded)) }
	lose() // before any restart
	r.openWindow()
	lose()
	r.closeWindow()
	lose()
	r.openWindow()
	r.closeWindow()
	m := &Measurement{}
	r.fill(m)
	if m.Lost != 3 || !slices.Equal(m.LostByRestart, []int{2, 0}) {
		t.Errorf("%d lost, by restart %v; want 3, 2 and 0", m.Lost, m.LostByRestart)
	}
}

func TestSilenceLastsUntilTheNextAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(time.Second)
		r.record(time.Now(), 1, nil)
		wait(t.Context(), 30*time.Millisecond, nil)
		r.record(time.Now(), 0, fail(dialing, context.DeadlineExceeded)) // no answer
		wait(t.Context(), 30*time.Millisecond, nil)
		r.record(time.Now(), 1, nil)
		wait(t.Context(), 10*time.Millisecond, nil)
		r.finish()
		res := &Measurement{}
		r.fill(res)
		if res.LongestSilence != 60 || res.Requests != 3 || res.Lost != 1 {
			t.Errorf("silence %v ms, %d requests, %d lost; want 60, 3, 1", res.LongestSilence, res.Requests, res.Lost)
		}
	})
}

func TestPortsAreNotLost(t *testing.T) {
	r := newRecorder(time.Second)
	r.record(time.Now(), 0, &failure{phase: dialing, kind: ports})
	res := &Measurement{}
	r.fill(res)
	if res.Requests != 0 || res.Lost != 0 || res.ClientFailures["ports"] != 1 {
		t.Errorf("%d requests, %d lost, %d without a port; want 0, 0, 1", res.Requests, res.Lost, res.ClientFailures["ports"])
	}
}

func TestAnsweredWaitsForItsGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(time.Second)
		r.record(time.Now(), 1, nil)
		go func() {
			wait(t.Context(), time.Second, nil)
			r.record(time.Now(), 2, nil)
		}()
		began := time.Now()
		at, err := r.answered(t.Context(), 2)
		if err != nil || at.Sub(began) != time.Second {
			t.Errorf("answered after %v, error %v; want 1s, nil", at.Sub(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.answered(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("generation 3: %v, want a deadline", err)
		}
	})
}
