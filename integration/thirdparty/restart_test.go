package thirdparty

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// protocol is a service and its clients.
type protocol struct {
	name    string
	serve   service
	client  client
	clients int
	// exact protocols have a client that knows what to send again, so that
	// what is served is what is answered: nothing is lost, nothing done twice.
	exact bool
	// away and held say which of load's counts must grow.
	away, held bool
}

var protocols = []protocol{
	{name: "HTTP/1.1 keep-alive", serve: serveHTTP1, client: http1Client, clients: 8, exact: true},
	{name: "HTTP/2 TLS", serve: serveHTTP2TLS, client: http2TLSClient, clients: 2, exact: true},
	{name: "HTTP/2 cleartext", serve: serveHTTP2Plain, client: http2PlainClient, clients: 2, exact: true},
	{name: "WebSocket", serve: serveWebSocket, client: webSocketClient, clients: 8, exact: true, away: true},
	{name: "server-sent events", serve: serveEvents, client: eventsClient, clients: 8, away: true},
	{name: "long polls", serve: serveEvents, client: pollClient, clients: 8, away: true},
	{name: "gRPC", serve: serveGRPC, client: grpcClient, clients: 4, exact: true, held: true},
	{name: "SSH", serve: serveSSH, client: sshClient, clients: 4, exact: true, held: true},
	{name: "fasthttp", serve: serveFastHTTP, client: fastHTTPClient, clients: 8, exact: true},
	{name: "lines", serve: serveLines, client: linesClient, clients: 8, exact: true, away: true},
}

const restarts = 20

// The clients of every protocol lose nothing over restarts, and the same clients
// do when the older server ends at once, as servers can: Close, Shutdown, Stop.
func TestRestarts(t *testing.T) {
	times := restarts
	if testing.Short() {
		times = 5
	}
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			l := p.start(t)
			for range times {
				l.restart(true)
				l.reached(t, 3*int64(p.clients))
			}
			l.finish(t)
			l.site.stop(l.leader(), true)
			l.drained()
			if lost := l.losses(); len(lost) > 0 {
				t.Errorf("lost %d, answered %d: %v", len(lost), l.answered.Load(), summary(lost))
			}
			if served, answered := l.served(), l.answered.Load(); p.exact && served != answered {
				t.Errorf("served %d, answered %d", served, answered)
			}
			if p.away && l.away.Load() < int64(times)/2 || p.held && l.held.Load() < int64(times)/2 {
				t.Errorf("in %d restarts %d connections were told to go, %d stayed", times, l.away.Load(), l.held.Load())
			}
			t.Logf("%d restarts, %d answered, %d lost; %d told to go, %d outlived the takeover",
				times, l.answered.Load(), len(l.losses()), l.away.Load(), l.held.Load())
		})
		t.Run(p.name+", control", func(t *testing.T) {
			t.Parallel()
			l := p.start(t)
			n := 0
			for ; n < restarts && len(l.losses()) == 0; n++ {
				l.restart(false)
				l.reached(t, 3*int64(p.clients))
			}
			l.finish(t)
			l.site.stop(l.leader(), false)
			l.drained()
			if len(l.losses()) == 0 {
				t.Errorf("%d restarts without draining lost nothing; the test is not able to fail", n)
			}
			t.Logf("%d restarts lost %d of %d: %v", n, len(l.losses()), l.answered.Load(), summary(l.losses()))
		})
	}
}

func (p *protocol) start(t *testing.T) *load {
	t.Helper()
	began := time.Now()
	t.Cleanup(func() { t.Logf("%.1fs", time.Since(began).Seconds()) })
	l := startLoad(newSite(t, p.serve), p.clients, p.client)
	t.Cleanup(func() { l.stop(); l.wg.Wait() })
	l.reached(t, 3*int64(p.clients))
	return l
}

func summary(lost []error) error {
	if len(lost) > 3 {
		return fmt.Errorf("%w\n… and %d more", errors.Join(lost[:3]...), len(lost)-3)
	}
	return errors.Join(lost...)
}
