package bench

import (
	"context"
	"errors"
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
		})
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
