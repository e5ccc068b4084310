package drain_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

// Handlers are told why draining began and how long they have, which a context
// may shorten.
func TestCause(t *testing.T) {
	for name, tt := range map[string]struct {
		limit time.Duration // of the context
		want  time.Duration
	}{
		"timeout": {time.Hour, 30 * time.Second},
		"context": {10 * time.Second, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handlers, hijackers := make(chan error, 1), make(chan error, 1)
				var s *service
				s, p := servePipes(t, drain.Config{Timeout: 30 * time.Second}, http.HandlerFunc(
					func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/hijack" {
							nc, _, _ := http.NewResponseController(w).Hijack()
							<-s.Context().Done()
							hijackers <- context.Cause(s.Context())
							nc.Close()
							return
						}
						ctx, cancel := drain.Context(r.Context())
						defer cancel()
						<-ctx.Done()
						handlers <- context.Cause(ctx)
					}))
				a, b := p.dial(), p.dial()
				a.send("GET", "/")
				b.send("GET", "/hijack")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
				defer cancel()
				start := time.Now()
				reports := make(chan *drain.Report)
				go func() { reports <- s.DrainWith(ctx, drain.DrainOptions{Reason: "stop"}) }()
				for _, cause := range []error{<-handlers, <-hijackers} {
					var d *drain.Draining
					if !errors.Is(cause, drain.ErrDraining) || !errors.As(cause, &d) {
						t.Fatalf("cause %v", cause)
					}
					if d.Reason != "stop" || d.Deadline.Sub(start) != tt.want {
						t.Errorf("%+v; want the deadline after %v", d, tt.want)
					}
				}
				a.answered(t, true)
				r := <-reports
				if s := s.Snapshot(); r.Reason != "stop" || s.Reason != "stop" || !r.Deadline.Equal(s.Deadline) ||
					r.Deadline.Sub(start) != tt.want {
					t.Errorf("report %+v, snapshot %+v", r, s)
				}
			})
		})
	}
}

func TestDrainingError(t *testing.T) {
	d := &drain.Draining{Deadline: time.Date(2000, 1, 2, 3, 4, 5, 0, time.UTC)}
	if got := d.Error(); got != "drain: draining until 2000-01-02T03:04:05Z" {
		t.Error(got)
	}
	d.Reason = "upgrade"
	if got := d.Error(); got != "drain: draining until 2000-01-02T03:04:05Z: upgrade" {
		t.Error(got)
	}
}
