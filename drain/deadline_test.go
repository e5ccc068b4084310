package drain_test

import (
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
		if len(r.Left) != 1 || r.Left[0].Request != "POST /" || r.Left[0].State != "active" || r.Left[0].Seconds < 30 || r.Left[0].Remote != "pipe" {
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

// slowToClose takes its time, as a connection does whose TLS says goodbye.
type slowToClose struct {
	net.Conn
	takes time.Duration
}

func (c slowToClose) Close() error {
	<-time.After(c.takes)
	return c.Conn.Close()
}

// A connection that its owner is just closing at the deadline is counted.
func TestClosingAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		defer p.Close()
		conns := drain.New(drain.Config{Timeout: 30 * time.Second})
		ln := conns.Listener(p)
		go func() {
			_, theirs := net.Pipe()
			p.conns <- slowToClose{theirs, 100 * time.Millisecond}
		}()
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(30*time.Second-50*time.Millisecond, func() { nc.Close() })
		r := conns.Drain(t.Context())
		if n := r.Closed.Finished + r.Closed.Forced; n != 1 || !r.TimedOut {
			t.Errorf("report %+v", r)
		}
	})
}
