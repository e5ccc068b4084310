package drain_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

func TestActiveAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, p := servePipes(t, drain.Config{Timeout: 30 * time.Second}, http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { <-release }))
		c := p.dial()
		c.send("POST", "/")
		synctest.Wait()
		r := <-s.begin(t)

		if r.Seconds < 30 || r.Seconds > 30.1 || !errors.Is(r.Err(), drain.ErrDeadline) {
			t.Errorf("took %v s, error %v", r.Seconds, r.Err())
		}
		if r.Closed != (drain.Outcomes{Forced: 1}) {
			t.Errorf("report %+v", r)
		}
		if len(r.Left) != 1 || r.Left[0].State != "active" || r.Left[0].Seconds < 30 || r.Left[0].Remote != "pipe" {
			t.Errorf("left %+v", r.Left)
		}
		c.closed(t)
		close(release)
	})
}

func TestRawConnectionCountsAsActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		defer p.Close()
		conns := drain.New(drain.Config{Timeout: 30 * time.Second})
		ln := conns.Listener(p)
		accepted := make(chan net.Conn)
		go func() {
			nc, _ := ln.Accept()
			accepted <- nc
		}()
		peer := p.dial()
		nc := <-accepted
		time.AfterFunc(10*time.Second, func() { nc.Close() })
		r := conns.Drain(t.Context())
		if r.Seconds != 10 || r.Closed != (drain.Outcomes{Finished: 1}) {
			t.Errorf("report %+v", r)
		}
		peer.closed(t)
	})
}

// Hijacked connections are told, then closed one by one; the last has until
// the deadline.
func TestHijacked(t *testing.T) {
	const n = 6
	synctest.Test(t, func(t *testing.T) {
		heed := make(chan bool, 1)
		s, p := servePipes(t, drain.Config{Timeout: 30 * time.Second, IdleGrace: 6 * time.Second},
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := drain.Context(r.Context())
				nc, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer cancel()
				if !<-heed {
					return
				}
				<-ctx.Done()
				if context.Cause(ctx) != drain.ErrDraining {
					t.Errorf("cause %v", context.Cause(ctx))
				}
				nc.Close()
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
		for i := range n {
			want := 6*time.Second + time.Duration(i+1)*24*time.Second/n
			if took := <-ends; took < want || took > want+50*time.Millisecond {
				t.Errorf("hijacked %d ended after %v, want %v", i, took, want)
			}
		}
		r := <-reports
		if r.Closed != (drain.Outcomes{Finished: 1, Hijacked: n - 1, Forced: 1}) || r.Left[0].State != "hijacked" {
			t.Errorf("report %+v", r)
		}
	})
}
