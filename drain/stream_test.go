package drain_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// switchover is a client of net/http whose new connections go to one service,
// and after move to the next.
type switchover struct {
	*http.Client
	addr atomic.Value
}

func newSwitchover(t *testing.T, addr string) *switchover {
	s := &switchover{}
	s.addr.Store(addr)
	tr := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.addr.Load().(string))
	}}
	s.Client = &http.Client{Transport: tr}
	t.Cleanup(tr.CloseIdleConnections)
	return s
}

// Events that come while one generation ends and the next serves.
func TestServerSentEvents(t *testing.T) {
	const events = 20
	for name, tt := range map[string]struct {
		end   func(*testing.T, *service)
		whole bool // every stream of events ends as its handler wants
	}{
		"drain": {func(t *testing.T, s *service) {
			if r := s.Drain(t.Context()); r.Err() != nil {
				t.Error(r.Err())
			}
		}, true},
		// It waits for a handler that nobody tells, and cuts it off.
		"shutdown": {func(t *testing.T, s *service) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			s.srv.Shutdown(ctx)
			s.srv.Close()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			half := make(chan struct{})
			halfway := sync.OnceFunc(func() { close(half) })
			// A stream goes on after the event that its client has seen. It
			// stops halfway in the older generation, where the client may come
			// once more, on the same connection, to be told to go.
			handler := func(last int) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					ctx, cancel := drain.Context(r.Context())
					defer cancel()
					w.Header().Set("Content-Type", "text/event-stream")
					seen, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
					for i := seen + 1; i <= last; i++ {
						fmt.Fprintf(w, "id: %d\n\n", i)
						w.(http.Flusher).Flush()
					}
					if last < events {
						halfway()
						<-ctx.Done()
						if errors.Is(context.Cause(ctx), drain.ErrDraining) {
							io.WriteString(w, "event: reconnect\n\n")
						}
					}
				})
			}
			older := serve(t, drain.Config{}, handler(events/2))
			newer := serve(t, drain.Config{}, handler(events))
			client := newSwitchover(t, older.addr)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				<-half
				client.addr.Store(newer.addr)
				tt.end(t, older)
			}()

			last, broken := 0, 0
			for last < events {
				req, _ := http.NewRequest("GET", "http://service/", nil)
				req.Header.Set("Last-Event-ID", strconv.Itoa(last))
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(resp.Body)
				for lines.Scan() {
					if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
						if id != strconv.Itoa(last+1) {
							t.Errorf("event %s after %d", id, last)
						}
						last++
					}
				}
				if lines.Err() != nil {
					broken++
				}
				resp.Body.Close()
			}
			<-ended
			if (broken == 0) != tt.whole {
				t.Errorf("%d streams broke off", broken)
			}
		})
	}
}

// Long polls that wait for something when the end begins.
func TestLongPoll(t *testing.T) {
	const clients = 8
	for name, tt := range map[string]struct {
		end  func(*testing.T, *service)
		lost int64
	}{
		"drain": {func(t *testing.T, s *service) {
			if r := s.Drain(t.Context()); r.Err() != nil {
				t.Error(r.Err())
			}
		}, 0},
		"shutdown": {func(t *testing.T, s *service) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			s.srv.Shutdown(ctx)
			s.srv.Close()
		}, clients},
	} {
		t.Run(name, func(t *testing.T) {
			var waiting atomic.Int64
			older := serve(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := drain.Context(r.Context())
				defer cancel()
				io.Copy(io.Discard, r.Body)
				waiting.Add(1)
				<-ctx.Done() // nothing happens
				w.WriteHeader(http.StatusNoContent)
			}))
			newer := serve(t, drain.Config{}, http.HandlerFunc(echo))
			client := newSwitchover(t, older.addr)
			var lost, again, answered atomic.Int64
			done := make(chan struct{}, clients)
			for range clients {
				go func() {
					defer func() { done <- struct{}{} }()
					for {
						resp, err := client.Post("http://service/", "", strings.NewReader("."))
						if err != nil {
							lost.Add(1)
							return
						}
						resp.Body.Close()
						if resp.StatusCode != http.StatusNoContent {
							answered.Add(1)
							return
						}
						again.Add(1)
					}
				}()
			}
			wait(func() bool { return waiting.Load() == clients })
			client.addr.Store(newer.addr)
			tt.end(t, older)
			for range clients {
				<-done
			}
			if lost.Load() != tt.lost || again.Load() != clients-tt.lost || answered.Load() != clients-tt.lost {
				t.Errorf("lost %d, polled again %d, answered %d", lost.Load(), again.Load(), answered.Load())
			}
		})
	}
}
