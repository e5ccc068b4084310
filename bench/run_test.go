package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestKnownLossIsCountedExactly(t *testing.T) {
	o := testOptions(t, "drops-three", "short")
	res := measured(t, o)
	want := dropsPerGeneration * (o.Restarts + 1)
	if res.Restarts != o.Restarts || res.Lost != want || res.LostBy["first-byte/eof"] != want {
		t.Errorf("%d restarts, lost %d: %v; want %d, %d first-byte/eof", res.Restarts, res.Lost, res.LostBy, o.Restarts, want)
	}
	if len(res.Errors) > 0 {
		t.Errorf("errors: %q", res.Errors)
	}
	if res.Requests <= res.Lost || res.Restart.P50 <= 0 || res.Restart.Max < res.Restart.P50 || res.Steady.P50 <= 0 {
		t.Errorf("implausible: %+v", res)
	}
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	o := testOptions(t, "drops-three", "short")
	o.Rate, o.Restarts, o.Conns = 200, 2, 8
	began := time.Now()
	res := measured(t, o)
	if most := int(time.Since(began).Seconds()*200) + 1; res.Requests > most || res.Requests < 20 {
		t.Errorf("%d requests, want 20 to %d at 200/s", res.Requests, most)
	}
}

func TestFailuresAreErrors(t *testing.T) {
	for _, c := range []struct{ method, want string }{
		{"exits-at-once", "ended before it was ready"},
		{"no-successor", "restart 1: no new process got ready"},
		{"leaves-child", "was left over and had to be killed"},
	} {
		t.Run(c.method, func(t *testing.T) {
			o := testOptions(t, c.method, "short")
			o.Restarts = 1
			res := measured(t, o)
			if all := strings.Join(res.Errors, "\n"); !strings.Contains(all, c.want) {
				t.Errorf("errors %q, want one with %q", res.Errors, c.want)
			}
			if (&Report{Results: []*Result{res}}).Err() == nil {
				t.Error("Report.Err is nil")
			}
			if res.Peer = true; (&Report{Results: []*Result{res}}).Err() != nil {
				t.Error("Report.Err is not nil, of a peer")
			}
		})
	}
}

// What failed is not tried again: it would take the longest.
func TestFailuresAreNotRepeated(t *testing.T) {
	o := testOptions(t, "no-successor", "short")
	o.Methods, o.Repetitions, o.Restarts = []string{"no-successor", "drops-three"}, 3, 1
	r, err := run(t.Context(), o, testMethods(), false)
	if err != nil {
		t.Fatal(err)
	}
	if failed, went := len(r.Results[0].Repetitions), len(r.Results[1].Repetitions); failed != 1 || went != 3 {
		t.Errorf("%d repetitions of what failed, %d of what did not; want 1 and 3", failed, went)
	}
}

// A method that is done at once is judged by as many requests as any other, in
// the restart and in steady time.
func TestPacedWindowsAreEqual(t *testing.T) {
	const rate = 400
	o := testOptions(t, "stop-start", "short-paced")
	o.Rate, o.Conns = rate, 8
	res := measured(t, o)
	least := int64(rate * pacedWindow.Seconds() * 0.9)
	window, steady := res.RestartHistogram.TotalCount(), res.SteadyHistogram.TotalCount()
	if window < least || steady < window*4/5 || steady > 2*window {
		t.Errorf("%d latencies in the restart and %d in steady time, want %d or more, and about as many", window, steady, least)
	}
}

func TestCancelledRunLeavesNothing(t *testing.T) {
	o := testOptions(t, "stop-start", "short")
	o.Restarts = 1 << 20
	ctx, cancel := context.WithCancelCause(t.Context())
	because := errors.New("enough")
	before := takeInventory()
	time.AfterFunc(200*time.Millisecond, func() { cancel(because) })
	if _, err := run(ctx, o, testMethods(), false); !errors.Is(err, because) {
		t.Errorf("Run returned %v, want the cause", err)
	}
	if over := before.leftovers(t.Context()); len(over) > 0 {
		t.Errorf("left over: %q", over)
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	for _, o := range []*Options{
		{Methods: []string{"handof"}},
		{Scenarios: []string{"long"}},
		{Rate: -1},
	} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("Run(%+v) succeeded", o)
		}
	}
	for _, args := range [][]string{nil, {"-addr", ":0"}, {"nginx"}, {"stop-start", "extra"}} {
		if err := Serve(t.Context(), args...); err == nil {
			t.Errorf("Serve(%q) succeeded", args)
		}
	}
}

// The second repetition begins when every method has had the first.
func TestRepetitionsAreInterleaved(t *testing.T) {
	o := testOptions(t, "drops-three", "short")
	o.Methods, o.Repetitions, o.Restarts = []string{"drops-three", "stop-start"}, 2, 1
	var order []string
	o.Step = func(_, of int, next string) {
		if of != 4 {
			t.Errorf("%d measurements, want 4", of)
		}
		order = append(order, next)
	}
	r, err := run(t.Context(), o, testMethods(), false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"drops-three short", "stop-start short", "drops-three short", "stop-start short", ""}
	if !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	if len(r.Results) != 2 {
		t.Fatalf("%d results, want 2", len(r.Results))
	}
	res, lost := r.Results[0], 2*dropsPerGeneration*2
	if len(res.Repetitions) != 2 || res.Restarts != 2 || res.Lost != lost || res.LostPerRestart.Mean != float64(lost)/2 {
		t.Errorf("%d repetitions, %d restarts, lost %d (%+v); want 2, 2, %d",
			len(res.Repetitions), res.Restarts, res.Lost, res.LostPerRestart, lost)
	}
	if n := res.SteadyHistogram.TotalCount() + res.RestartHistogram.TotalCount(); n == 0 || n > int64(res.Requests) {
		t.Errorf("%d latencies of %d answers", n, res.Requests-res.Lost)
	}
	around := 0
	for _, n := range res.Timeline.New {
		around += n
	}
	if around == 0 {
		t.Error("the timeline has no answer of a new generation")
	}
}

// An interrupted run gives what it has.
func TestInterruptedRunKeepsItsResults(t *testing.T) {
	o := testOptions(t, "stop-start", "short")
	o.Repetitions, o.Restarts = 1000, 1
	ctx, cancel := context.WithCancelCause(t.Context())
	o.Step = func(done, _ int, _ string) {
		if done == 2 {
			cancel(errors.New("enough"))
		}
	}
	r, err := run(ctx, o, testMethods(), false)
	if err == nil || r.Interrupted == "" {
		t.Errorf("error %v, interrupted: %q", err, r.Interrupted)
	}
	if len(r.Results) != 1 || len(r.Results[0].Repetitions) != 2 {
		t.Errorf("%d results, want one of 2 repetitions", len(r.Results))
	}
}

func TestClientFailuresAreFatal(t *testing.T) {
	res := fixedResult("stop-start", "short", &Measurement{Requests: 10_000, ClientFailures: map[string]int{"ports": 10}})
	if err := res.clientError(); err != nil {
		t.Errorf("10 in 10010: %v", err)
	}
	res.ClientFailures["descriptors"] = 1
	if err := res.clientError(); !errors.Is(err, ErrClient) {
		t.Errorf("11 in 10011: %v, want ErrClient", err)
	}
}
