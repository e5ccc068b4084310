package drain_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

func TestIdleGrace(t *testing.T) {
	for name, tt := range map[string]struct {
		before bool          // a request before draining
		rest   time.Duration // between that and draining
	}{
		"idle":          {before: true},
		"idle for long": {before: true, rest: time.Hour},
		"no request":    {},
		"none for long": {rest: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := servePipes(t, drain.Config{IdleGrace: 5 * time.Second}, http.HandlerFunc(echo))
				c := p.dial()
				if tt.before {
					c.post(t, "/", false)
				}
				time.Sleep(tt.rest) // of the bubble's clock
				reports, start := s.begin(t), time.Now()

				c.closed(t)
				if took := time.Since(start); took < 5*time.Second || took > 5100*time.Millisecond {
					t.Errorf("closed after %v, want 5s", took)
				}
				if r := <-reports; r.TimedOut || r.Closed != (drain.Outcomes{Idle: 1}) {
					t.Errorf("report %+v", r)
				}
			})
		})
	}
}

// A request in the last moment of the grace is answered, and one in two parts
// gets a grace for each.
func TestIdleGraceBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := servePipes(t, drain.Config{IdleGrace: 5 * time.Second}, http.HandlerFunc(echo))
		whole, parts := p.dial(), p.dial()
		whole.post(t, "/", false)
		reports := s.begin(t)

		time.Sleep(4990 * time.Millisecond)
		parts.Write([]byte("POST /parts HTTP/1.1\r\nHost: x\r\n"))
		whole.post(t, "/", true)
		time.Sleep(4900 * time.Millisecond)
		parts.Write([]byte("Content-Length: 0\r\n\r\n"))
		parts.answered(t, true)

		if r := <-reports; r.TimedOut || r.Closed != (drain.Outcomes{Finished: 2}) {
			t.Errorf("report %+v", r)
		}
	})
}

// Many idle connections are closed over another grace, not all at once, but in
// time for the deadline.
func TestIdleClosesAreSpread(t *testing.T) {
	const conns, grace = 2500, 5 * time.Second
	for name, tt := range map[string]struct {
		timeout time.Duration
		seconds int // over which they are spread
	}{
		"time enough": {30 * time.Second, 5},
		"short":       {7 * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := servePipes(t, drain.Config{IdleGrace: grace, Timeout: tt.timeout}, http.HandlerFunc(echo))
				ends := make(chan time.Time)
				for range conns {
					c := p.dial()
					go func() {
						c.Read(make([]byte, 1))
						ends <- time.Now()
					}()
				}
				synctest.Wait()
				reports, start := s.begin(t), time.Now()

				var perSecond [12]int
				for range conns {
					perSecond[(<-ends).Sub(start)/time.Second]++
				}
				even := conns / tt.seconds
				for i, n := range perSecond {
					inside := i >= 5 && i < 5+tt.seconds
					if inside && (n < even*3/4 || n > even*5/4) || !inside && n > 10 {
						t.Errorf("%d closed in second %d", n, i)
					}
				}
				if r := <-reports; r.TimedOut || r.Closed != (drain.Outcomes{Idle: conns}) {
					t.Errorf("report %+v", r)
				}
			})
		})
	}
}
