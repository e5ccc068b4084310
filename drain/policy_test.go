package drain_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

// hijack is a handler that gives its connection to f.
func hijack(t *testing.T, f func(context.Context, net.Conn)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := drain.Context(r.Context())
		defer cancel()
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		f(ctx, nc)
	})
}

// Hijacked connections are told, and those that do not heed it are closed one
// by one, each in a slot of its own.
func TestHijacked(t *testing.T) {
	const n = 6
	synctest.Test(t, func(t *testing.T) {
		heed := make(chan bool, 1)
		s, p := servePipes(t, drain.Config{Timeout: 30 * time.Second, IdleGrace: 6 * time.Second},
			hijack(t, func(ctx context.Context, nc net.Conn) {
				if <-heed {
					<-ctx.Done()
					nc.Close()
				}
			}))
		ends := make(chan time.Duration)
		start := time.Now()
		for i := range n + 1 {
			c := p.dial()
			heed <- i == n
			c.send("GET", "/")
			go func() {
				c.Read(make([]byte, 1))
				ends <- time.Since(start)
			}()
			synctest.Wait()
		}
		if got := s.Snapshot().Open; got != (drain.States{Hijacked: n + 1}) {
			t.Errorf("open %+v", got)
		}
		reports := s.begin(t)
		if took := <-ends; took > 0 {
			t.Errorf("the one that heeds its context ended after %v", took)
		}
		const slot = 24 * time.Second * 19 / 20 / n
		for i := range n {
			early := 6*time.Second + time.Duration(i)*slot
			if took := <-ends; took < early || took > early+slot+100*time.Millisecond {
				t.Errorf("hijacked %d ended after %v, want %v to %v", i, took, early, early+slot)
			}
		}
		if r := <-reports; r.Err() != nil || r.Closed != (drain.Outcomes{Finished: 1, Cut: n}) {
			t.Errorf("report %+v", r)
		}
	})
}

// raw has n connections accepted by a listener with options, which no
// http.Server serves, and reads them to their end.
func raw(t *testing.T, conns *drain.Conns, opts drain.ListenerOptions, n int) {
	p := newPipes()
	t.Cleanup(func() { p.Close() })
	ln := conns.ListenerWith(p, opts)
	for range n {
		go p.dial()
		if _, err := ln.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second) // they are no longer about to be served
}

func TestPolicies(t *testing.T) {
	const n = 20
	cfg := drain.Config{Timeout: time.Minute, IdleGrace: 5 * time.Second}
	for name, tt := range map[string]struct {
		opts     drain.ListenerOptions
		min, max float64 // seconds
		want     drain.Outcomes
	}{
		"usual":           {drain.ListenerOptions{}, 60, 60, drain.Outcomes{Forced: n}},
		"wait":            {drain.ListenerOptions{Policy: drain.Wait}, 60, 60, drain.Outcomes{Forced: n}},
		"cut":             {drain.ListenerOptions{Policy: drain.Cut}, 5, 5.1, drain.Outcomes{Cut: n}},
		"cut at once":     {drain.ListenerOptions{Policy: drain.Cut, Grace: -1}, 0, 0.1, drain.Outcomes{Cut: n}},
		"cut after grace": {drain.ListenerOptions{Policy: drain.Cut, Grace: 20 * time.Second}, 20, 20.2, drain.Outcomes{Cut: n}},
		"spread":          {drain.ListenerOptions{Policy: drain.Spread}, 54, 58, drain.Outcomes{Cut: n}},
		"spread over a window": {drain.ListenerOptions{Policy: drain.Spread, Grace: -1, Window: 10 * time.Second},
			9.4, 10.1, drain.Outcomes{Cut: n}},
		"spread, too long a window": {drain.ListenerOptions{Policy: drain.Spread, Window: time.Hour}, 54, 58, drain.Outcomes{Cut: n}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conns := drain.New(cfg)
				raw(t, conns, tt.opts, n)
				r := conns.Drain(t.Context())
				if r.Seconds < tt.min || r.Seconds > tt.max || r.Closed != tt.want || r.TimedOut != (tt.want.Forced > 0) {
					t.Errorf("report %+v", r)
				}
			})
		})
	}
	t.Run("hijacked may wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := newService(cfg, hijack(t, func(context.Context, net.Conn) {}))
			s.options = drain.ListenerOptions{Policy: drain.Wait}
			s.start(t, p)
			c := p.dial()
			c.send("GET", "/")
			synctest.Wait()
			if r := s.Drain(t.Context()); r.Closed != (drain.Outcomes{Forced: 1}) || r.Left[0].State != "hijacked" {
				t.Errorf("report %+v", r)
			}
		})
	})
}

// Each listener goes by its own options.
func TestPoliciesOfSeveralListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := drain.New(drain.Config{Timeout: time.Minute})
		raw(t, conns, drain.ListenerOptions{Name: "ssh", Policy: drain.Wait}, 2)
		raw(t, conns, drain.ListenerOptions{Name: "mqtt", Policy: drain.Cut, Grace: -1}, 3)
		r := conns.Drain(t.Context())
		if r.Closed != (drain.Outcomes{Cut: 3, Forced: 2}) || len(r.Left) != 2 || r.Left[0].Listener != "ssh" {
			t.Errorf("report %+v", r)
		}
		for _, l := range conns.Snapshot().Listeners {
			want := map[string]drain.Outcomes{"ssh": {Forced: 2}, "mqtt": {Cut: 3}}[l.Name]
			if l.Closed != want {
				t.Errorf("%s: %+v, want %+v", l.Name, l.Closed, want)
			}
		}
	})
}

// OnDrain meets long-lived connections, those that become so while draining
// too, and no connection that HTTP still has.
func TestOnDrainOfListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type call struct {
			nc     net.Conn
			d      drain.Draining
			warned bool
			at     time.Time
		}
		calls := make(chan call, 100)
		start := time.Now()
		opts := drain.ListenerOptions{
			Policy:     drain.Wait,
			OnDrain:    func(nc net.Conn, d *drain.Draining) { calls <- call{nc, *d, false, time.Now()} },
			OnWarn:     func(nc net.Conn, d *drain.Draining) { calls <- call{nc, *d, true, time.Now()} },
			WarnBefore: 10 * time.Minute,
		}
		var hijacked net.Conn
		s, p := newService(drain.Config{Timeout: time.Hour, IdleGrace: 2 * time.Hour},
			hijack(t, func(_ context.Context, nc net.Conn) { hijacked = nc }))
		s.options = opts
		s.start(t, p)
		waiting, c := p.dial(), p.dial()
		c.send("GET", "/")
		synctest.Wait()

		go s.DrainWith(t.Context(), drain.DrainOptions{Reason: "upgrade"})
		expect := func(warned bool, after time.Duration, conns ...net.Conn) {
			t.Helper()
			for range conns {
				got := <-calls
				if !slices.Contains(conns, got.nc) || got.warned != warned || got.d.Reason != "upgrade" ||
					got.d.Deadline.Sub(start) != time.Hour {
					t.Errorf("called with %+v", got)
				}
				if at := got.at.Sub(start); at < after || at > after+time.Second {
					t.Errorf("called after %v, want %v", at, after)
				}
			}
		}
		expect(false, 0, hijacked)
		time.Sleep(time.Minute)
		first := hijacked
		waiting.send("GET", "/")
		synctest.Wait()
		expect(false, time.Minute, hijacked)
		expect(true, 50*time.Minute, first, hijacked)
		first.Close()
		hijacked.Close()
		if r := s.Drain(t.Context()); r.Err() != nil || len(calls) > 0 {
			t.Errorf("%d more calls, report %+v", len(calls), r)
		}
	})
}
