package drain_test

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/graceport/graceport/drain"
)

// load is a closed loop of keep-alive POSTs over connections that are opened
// anew only after Connection: close.
type load struct {
	mu       sync.RWMutex // held for reading while dialing addr
	addr     string
	dialed   atomic.Uint64
	answered atomic.Uint64
	lost     atomic.Uint64
	stop     atomic.Bool
	wg       sync.WaitGroup
}

func (l *load) run(clients int) {
	for range clients {
		l.wg.Go(func() {
			for !l.stop.Load() {
				l.mu.RLock()
				nc, err := net.Dial("tcp", l.addr)
				l.dialed.Add(1)
				l.mu.RUnlock()
				if err != nil {
					l.lost.Add(1)
					continue
				}
				l.converse(newClient(nc))
				nc.Close()
			}
		})
	}
}

func (l *load) converse(c *client) {
	for !l.stop.Load() {
		err := c.send("POST", "/")
		closing := false
		if err == nil {
			_, closing, err = c.receive()
		}
		if err != nil {
			l.lost.Add(1)
			return
		}
		l.answered.Add(1)
		if closing {
			return
		}
	}
}

// more waits for n further requests to be answered or lost.
func (l *load) more(n uint64) {
	done := func() uint64 { return l.answered.Load() + l.lost.Load() }
	until := done() + n
	wait(func() bool { return done() >= until })
}

// restart moves a load from one service to the next, and ends the old as told.
func restart(t *testing.T, end func(*service)) *load {
	older, newer := serve(t, drain.Config{}, http.HandlerFunc(echo)), serve(t, drain.Config{}, http.HandlerFunc(echo))
	l := &load{addr: older.addr}
	l.run(16)
	l.more(500)

	l.mu.Lock()
	l.addr = newer.addr
	dialed := l.dialed.Load()
	l.mu.Unlock()
	// Its accept queue is not drain's to empty.
	wait(func() bool { return older.Snapshot().Accepted == dialed })
	end(older)
	l.more(500)
	l.stop.Store(true)
	l.wg.Wait()
	return l
}

func TestRestartUnderLoad(t *testing.T) {
	for range 3 {
		l := restart(t, func(s *service) {
			if r := s.Drain(t.Context()); r.Err() != nil || r.Closed.Finished != uint64(r.Open) {
				t.Errorf("report %+v", r)
			}
		})
		if n := l.lost.Load(); n != 0 {
			t.Fatalf("lost %d of %d requests", n, n+l.answered.Load())
		}
	}
}

// The same with Shutdown: the test above is able to fail.
func TestRestartUnderLoadControl(t *testing.T) {
	for round := range 50 {
		l := restart(t, func(s *service) { s.srv.Shutdown(t.Context()) })
		if n := l.lost.Load(); n != 0 {
			t.Logf("Shutdown lost %d of %d requests in round %d", n, n+l.answered.Load(), round)
			return
		}
	}
	t.Error("Shutdown lost nothing in 50 rounds")
}

// Requests that are half sent when the end begins, on a new and on an idle
// connection: Drain answers both, Shutdown neither.
func TestHalfSent(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*testing.T, *service)
		want int
	}{
		{"drain", func(t *testing.T, s *service) { s.begin(t) }, 2},
		{"shutdown", func(t *testing.T, s *service) {
			down := make(chan struct{})
			s.srv.RegisterOnShutdown(func() { close(down) })
			go s.srv.Shutdown(t.Context())
			<-down
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, drain.Config{}, http.HandlerFunc(echo))
			idle, fresh := dial(t, s.addr), dial(t, s.addr)
			idle.post(t, "/", false)
			for _, c := range []*client{idle, fresh} {
				c.Write([]byte("POST / HTTP/1.1\r\n"))
			}
			wait(func() bool { return s.Snapshot().Accepted == 2 })
			tt.end(t, s)
			answered := 0
			for _, c := range []*client{idle, fresh} {
				c.Write([]byte("Host: x\r\nContent-Length: 0\r\n\r\n"))
				if _, _, err := c.receive(); err == nil {
					answered++
				}
			}
			if answered != tt.want {
				t.Errorf("answered %d, want %d", answered, tt.want)
			}
		})
	}
}
