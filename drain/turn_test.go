package drain_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

// Handlers that wait for their turn end evenly over the grace, those that wait
// for draining all at once.
func TestTurn(t *testing.T) {
	const n, grace = 200, 20 * time.Second
	for name, tt := range map[string]struct {
		wait    func(context.Context) (context.Context, context.CancelFunc)
		perSlot int // at most, in a twentieth of the grace
	}{
		"turn":    {drain.Turn, n/20 + 2},
		"context": {drain.Context, n},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ends := make(chan time.Duration, n)
				s, p := newService(drain.Config{Timeout: time.Minute}, http.HandlerFunc(
					func(w http.ResponseWriter, r *http.Request) {
						ctx, cancel := tt.wait(r.Context())
						defer cancel()
						<-ctx.Done()
						if !errors.Is(context.Cause(ctx), drain.ErrDraining) {
							t.Errorf("cause %v", context.Cause(ctx))
						}
						ends <- time.Since(start)
					}))
				s.options = drain.ListenerOptions{Grace: grace}
				s.start(t, p)
				for range n {
					c := p.dial()
					c.send("GET", "/")
					go c.receive()
				}
				synctest.Wait()
				if r := s.Drain(t.Context()); r.Err() != nil || r.Seconds > grace.Seconds()+1 {
					t.Errorf("report %+v", r)
				}
				slots := make([]int, 21)
				for range n {
					slots[<-ends*20/grace]++
				}
				if most := slices.Max(slots); most > tt.perSlot || most < tt.perSlot-4 {
					t.Errorf("per slot %v, want at most %d", slots, tt.perSlot)
				}
			})
		})
	}
}

// What ends for another reason, or knows of no draining, does so at once.
func TestTurnEndsOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		parent, end := context.WithCancelCause(t.Context())
		ctx, cancel := drain.Turn(parent)
		defer cancel()
		end(why)
		if <-ctx.Done(); context.Cause(ctx) != why {
			t.Errorf("cause %v", context.Cause(ctx))
		}

		ctx, cancel = drain.Turn(t.Context())
		cancel()
		if <-ctx.Done(); context.Cause(ctx) != context.Canceled {
			t.Errorf("cause %v", context.Cause(ctx))
		}

		conns := drain.New(drain.Config{})
		ctx, cancel = drain.Turn(conns.Context())
		defer cancel()
		conns.Drain(t.Context())
		if <-ctx.Done(); !errors.Is(context.Cause(ctx), drain.ErrDraining) {
			t.Errorf("cause %v", context.Cause(ctx))
		}

		// A handler that returns before its turn leaves no timer behind.
		s, p := servePipes(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := drain.Turn(r.Context())
			cancel()
			<-ctx.Done()
		}))
		c := p.dial()
		c.post(t, "/", false)
		reports := s.begin(t)
		c.post(t, "/", true)
		if r := <-reports; r.Err() != nil {
			t.Error(r.Err())
		}
	})
}
