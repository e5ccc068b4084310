package drain_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// load2 is a closed loop of POSTs by net/http's client, over HTTP/2
// connections that are opened anew when the server says GOAWAY. The client
// itself repeats what the server says that it did not begin.
type load2 struct {
	addr           atomic.Value
	served         [2]atomic.Uint64 // by the older and the newer service
	inFlight       atomic.Int64
	gate           sync.RWMutex // while it is locked, no request ends
	answered, lost atomic.Uint64
	refused        atomic.Pointer[error] // one of the errors
}

// restart2 moves a load from one service to the next, and ends the old as told.
func restart2(t *testing.T, plain bool, end func(*load2, *service)) *load2 {
	l := &load2{}
	var services [2]*service
	for i := range services {
		s := &service{Conns: drain.New(drain.Config{}), srv: &http.Server{}}
		s.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l.served[i].Add(1)
			l.inFlight.Add(1)
			defer l.inFlight.Add(-1)
			io.Copy(w, r.Body)
			w.(http.Flusher).Flush()
			<-time.After(5 * time.Millisecond)
			l.gate.RLock()
			defer l.gate.RUnlock()
		})
		serve2(t, plain, s)
		services[i] = s
	}
	l.addr.Store(services[0].addr)
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		Protocols:       new(http.Protocols),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.addr.Load().(string))
		},
	}
	defer tr.CloseIdleConnections()
	url := "https://service/"
	if tr.Protocols.SetHTTP2(true); plain {
		url = "http://service/"
		tr.Protocols.SetUnencryptedHTTP2(true)
	}

	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for !stop.Load() {
				if err := l.post(tr, url); err != nil {
					l.lost.Add(1)
					l.refused.Store(&err)
				} else {
					l.answered.Add(1)
				}
			}
		})
	}
	wait(func() bool { return l.answered.Load() > 200 })
	l.addr.Store(services[1].addr)
	wait(func() bool { return l.inFlight.Load() > 8 })
	end(l, services[0])
	wait(func() bool { return l.served[1].Load() > 200 })
	stop.Store(true)
	wg.Wait()
	return l
}

func (l *load2) post(tr *http.Transport, url string) error {
	req, err := http.NewRequest("POST", url, strings.NewReader("hello"))
	if err != nil {
		return err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

// No stream is lost, and none refused that the client could not repeat.
func TestHTTP2RestartUnderLoad(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"TLS": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := restart2(t, plain, func(_ *load2, s *service) {
				if r := s.Drain(t.Context()); r.Err() != nil {
					t.Error(r.Err())
				}
			})
			if n := l.lost.Load(); n != 0 {
				t.Errorf("lost %d of %d requests: %v", n, n+l.answered.Load(), *l.refused.Load())
			}
			// What was repeated had not been served: nothing is served twice.
			if served := l.served[0].Load() + l.served[1].Load(); served != l.answered.Load() {
				t.Errorf("served %d, answered %d", served, l.answered.Load())
			}
		})
	}
}

// The control: without GOAWAY, streams in flight are lost.
func TestHTTP2RestartUnderLoadControl(t *testing.T) {
	t.Parallel()
	l := restart2(t, true, func(l *load2, s *service) {
		l.gate.Lock()
		defer l.gate.Unlock()
		wait(func() bool { return l.inFlight.Load() > 8 })
		s.srv.Close()
	})
	if l.lost.Load() == 0 {
		t.Error("Close lost nothing; the test is not able to fail")
	}
}
