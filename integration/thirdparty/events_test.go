package thirdparty

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/graceport/graceport/drain"
)

func serveEvents(g *generation, ln net.Listener) (end func()) {
	mux := http.NewServeMux()
	mux.Handle("/events", Events(&g.site.feed))
	mux.Handle("/poll", Poll(&g.site.feed))
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(generationHeader, strconv.Itoa(g.Number()))
		mux.ServeHTTP(w, r)
	})}
	serving(func() error { return HTTP(g.conns, ln, srv, drain.ListenerOptions{Grace: turns}) })
	return func() { srv.Close() }
}

// produce appends events as long as there are clients. During a restart there
// are none until a client of the older generation was told to go, or lost:
// otherwise, on a busy machine, polls might never be found waiting.
func (l *load) produce() {
	l.producer.Do(func() {
		l.wg.Go(func() {
			tick := time.NewTicker(15 * time.Millisecond)
			defer tick.Stop()
			for n := 1; !l.stopped(); n++ {
				ends, leader := l.ends(), l.leader()
				l.feed.Append(strconv.Itoa(n))
				<-tick.C
				if l.leader() != leader {
					until(func() bool { return l.ends() > ends || l.stopped() })
				}
			}
		})
	})
}

func (l *load) ends() int { return int(l.away.Load()) + len(l.losses()) }

// eventsClient follows the feed as an EventSource does. A stream that breaks off
// is a loss, and so is an event that is missed or comes twice.
func eventsClient(l *load) {
	l.produce()
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	for last := 0; !l.stopped(); {
		req, _ := http.NewRequestWithContext(l.ctx, "GET", "http://"+l.addr+"/events", nil)
		req.Header.Set("Last-Event-ID", strconv.Itoa(last))
		resp, err := tr.RoundTrip(req)
		if err == nil {
			err = l.follow(resp, &last)
			resp.Body.Close()
		}
		switch {
		case l.stopped():
		case err != nil:
			l.lose(err)
		default:
			l.away.Add(1)
		}
	}
}

// follow reads a stream to its end.
func (l *load) follow(resp *http.Response, last *int) error {
	g, err := l.answering(resp)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			if id != strconv.Itoa(*last+1) {
				return fmt.Errorf("event %s after %d", id, *last)
			}
			*last++
			l.answered.Add(1)
			g.served.Add(1)
		}
	}
	return lines.Err()
}

// pollClient follows the feed by long polls. They are POSTs, because net/http's
// client repeats a GET by itself.
func pollClient(l *load) {
	l.produce()
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	for last := 0; !l.stopped(); {
		req, _ := http.NewRequestWithContext(l.ctx, "POST", fmt.Sprintf("http://%s/poll?after=%d", l.addr, last), nil)
		resp, err := tr.RoundTrip(req)
		if err == nil {
			err = l.polled(resp, &last)
			resp.Body.Close()
		}
		if err != nil && !l.stopped() {
			l.lose(err)
		}
	}
}

func (l *load) polled(resp *http.Response, last *int) error {
	g, err := l.answering(resp)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusNoContent {
		l.away.Add(1)
	}
	for line := range strings.Lines(string(body)) {
		if want := fmt.Sprintf("%d %d\n", *last+1, *last+1); line != want {
			return fmt.Errorf("event %q, want %q", line, want)
		}
		*last++
	}
	l.answered.Add(1)
	g.served.Add(1)
	return nil
}

// answering is the generation that a response comes from.
func (l *load) answering(resp *http.Response) (*generation, error) {
	n, err := strconv.Atoi(resp.Header.Get(generationHeader))
	if err != nil {
		return nil, fmt.Errorf("%s: no generation: %w", resp.Status, err)
	}
	return l.generation(n), nil
}
