package drain_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

func TestNothingToDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if r := drain.New(drain.Config{}).Drain(t.Context()); r.Seconds != 0 || r.Err() != nil {
			t.Errorf("without a server: %+v", r)
		}
		s, _ := servePipes(t, drain.Config{}, nil)
		synctest.Wait()
		if r := s.Drain(t.Context()); r.Seconds > 0.02 || r.Err() != nil {
			t.Errorf("with a server: %+v", r)
		}
	})
}

// Whoever has no time for nothing has missed no deadline; a server with a
// connection that is not ours has.
func TestNothingToEnd(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := servePipes(t, drain.Config{}, nil)
		synctest.Wait()
		if r := s.Drain(ended); r.Err() != nil || r.Left != nil {
			t.Errorf("with a server: %+v", r)
		}
	})
	conns, release := drain.New(drain.Config{}), make(chan struct{})
	begun := make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-release
	})}
	conns.Server(srv)
	ln := listen(t)
	go srv.Serve(ln) // not by conns.Listener
	go http.Get("http://" + ln.Addr().String())
	<-begun
	if r := conns.Drain(ended); r.Err() == nil {
		t.Errorf("with a connection that is not ours: %+v", r)
	}
	close(release)
}

func TestDrainTwice(t *testing.T) {
	s := serve(t, drain.Config{}, http.HandlerFunc(echo))
	c := dial(t, s.addr)
	c.post(t, "/", false)
	first := s.begin(t)
	second := s.begin(t)
	c.post(t, "/", true)
	a, b := <-first, <-second
	if a != b || s.Drain(t.Context()) != a {
		t.Errorf("reports differ: %+v, %+v", a, b)
	}
}

func TestContextEndsEarly(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	synctest.Test(t, func(t *testing.T) {
		s, p := servePipes(t, drain.Config{}, http.HandlerFunc(echo))
		c := p.dial()
		c.post(t, "/", false)
		r := s.Drain(ended)
		if r.Seconds != 0 || !r.TimedOut || r.Closed != (drain.Outcomes{Forced: 1}) {
			t.Errorf("report %+v", r)
		}
		c.closed(t)
	})
	synctest.Test(t, func(t *testing.T) {
		s, p := servePipes(t, drain.Config{}, http.HandlerFunc(echo))
		c := p.dial()
		c.post(t, "/", false)
		reports := s.begin(t)
		time.Sleep(time.Second)
		if s.Drain(ended) != <-reports {
			t.Error("reports differ")
		}
		c.closed(t)
		if r := s.Drain(t.Context()); r.Seconds != 1 {
			t.Errorf("took %v s, want 1", r.Seconds)
		}
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := drain.New(drain.Config{Timeout: 30 * time.Second})
		var late atomic.Bool
		conns.OnDrain(func(ctx context.Context) {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != 30*time.Second {
				t.Errorf("hook's context ends at %v", at)
			}
			time.Sleep(3 * time.Second)
			conns.OnDrain(func(context.Context) { late.Store(true) })
		})
		if r := conns.Drain(t.Context()); r.Seconds != 3 || r.Err() != nil || !late.Load() {
			t.Errorf("report %+v, late hook ran: %t", r, late.Load())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		conns := drain.New(drain.Config{Timeout: 30 * time.Second})
		conns.OnDrain(func(ctx context.Context) { <-ctx.Done() })
		if r := conns.Drain(t.Context()); r.Seconds != 30 || !r.TimedOut {
			t.Errorf("report %+v", r)
		}
	})
}

func TestLog(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	drain.New(drain.Config{Logger: log}).Drain(t.Context())
	if got := b.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "msg=draining") ||
		!strings.Contains(got, "msg=drained") {
		t.Errorf("log: %s", got)
	}
}
