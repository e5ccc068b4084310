package drain_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

func TestRequestsWhileDraining(t *testing.T) {
	s := serve(t, drain.Config{}, http.HandlerFunc(echo))

	idle := dial(t, s.addr)
	idle.post(t, "/before", false)
	silent := dial(t, s.addr)
	half := dial(t, s.addr)
	half.Write([]byte("POST /half HTTP/1.1\r\n"))
	reports := s.begin(t)
	s.toldToLeave()

	late := dial(t, s.addr) // Accept goes on
	for path, c := range map[string]*client{"/idle": idle, "/silent": silent, "/late": late} {
		if got := c.post(t, path, true); got != path {
			t.Errorf("body %q, want %q", got, path)
		}
	}
	half.Write([]byte("Host: x\r\nContent-Length: 0\r\n\r\n"))
	half.answered(t, true)

	r := <-reports
	if r.Err() != nil || r.Closed != (drain.Outcomes{Finished: 4}) {
		t.Errorf("report %+v", r)
	}
}

// Clients that ask all the time are told to leave one after the other, 2 ms
// for each, and at the latest when half the time is over.
func TestLeavesAreSpread(t *testing.T) {
	const conns = 200
	for name, tt := range map[string]struct {
		cfg    drain.Config
		window time.Duration
	}{
		"time enough":    {drain.Config{}, 400 * time.Millisecond},
		"short grace":    {drain.Config{IdleGrace: 300 * time.Millisecond}, 300 * time.Millisecond},
		"short deadline": {drain.Config{Timeout: 400 * time.Millisecond}, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := servePipes(t, tt.cfg, http.HandlerFunc(echo))
				left := make(chan time.Time)
				for range conns {
					time.Sleep(time.Microsecond) // of the bubble's clock
					c := p.dial()
					c.post(t, "/", false)
					go func() {
						for closing := false; !closing; {
							time.Sleep(10 * time.Millisecond)
							c.send("POST", "/")
							var err error
							if _, closing, err = c.receive(); err != nil {
								t.Errorf("no answer: %v", err)
								closing = true
							}
						}
						c.Close()
						left <- time.Now()
					}()
				}
				reports, start := s.begin(t), time.Now()
				var quarter [5]int
				for range conns {
					quarter[min(4, (<-left).Sub(start)*4/tt.window)]++
				}
				for i, n := range quarter {
					even := conns / 4
					if i == 4 && n > even/3 || i < 4 && (n < even*3/4 || n > even*5/4) {
						t.Errorf("%d left in quarter %d", n, i)
					}
				}
				if r := <-reports; r.TimedOut || r.Closed != (drain.Outcomes{Finished: conns}) {
					t.Errorf("report %+v", r)
				}
			})
		})
	}
}
