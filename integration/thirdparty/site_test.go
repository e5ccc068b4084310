package thirdparty

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/handoff"
)

// A site is a service on one address. Its generations take over from each other
// as processes do; that they are in one process lets clients know them.
type site struct {
	t     *testing.T
	dir   string
	addr  string
	serve service
	feed  Feed

	mu          sync.Mutex
	generations []*generation
}

// service serves a generation on ln until its listener closes, and returns at
// once what ends the server without patience.
type service func(g *generation, ln net.Listener) (end func())

type generation struct {
	*handoff.Generation
	site   *site
	conns  *drain.Conns
	end    func()
	served atomic.Int64 // requests that reached a handler
	report chan *drain.Report
}

func newSite(t *testing.T, serve service) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "site")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{t: t, dir: filepath.Join(dir, "d"), serve: serve}
	s.addr = s.start("127.0.0.1:0")
	return s
}

// start starts the next generation on addr and returns when it leads.
func (s *site) start(addr string) (bound string) {
	s.t.Helper()
	hg, err := handoff.Open(s.t.Context(), handoff.Config{Dir: s.dir})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { hg.Close() })
	ln, err := hg.Listen(s.t.Context(), "tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	g := &generation{
		Generation: hg,
		site:       s,
		conns:      drain.New(drain.Config{Timeout: 2 * patience}),
		report:     make(chan *drain.Report, 1),
	}
	s.mu.Lock()
	s.generations = append(s.generations, g) // its number is its place, from 1
	s.mu.Unlock()
	g.end = s.serve(g, ln)
	if err := g.Ready(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return ln.Addr().String()
}

func (s *site) leader() *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generations[len(s.generations)-1]
}

func (s *site) generation(number int) *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generations[number-1]
}

// restart has a new generation take over, and ends the old one, by draining or
// without patience, while the new one serves.
func (s *site) restart(patient bool) {
	s.t.Helper()
	old := s.leader()
	s.start(s.addr)
	select {
	case <-old.Superseded():
	case <-time.After(patience):
		s.t.Fatalf("generation %d has not closed its sockets", old.Number())
	}
	s.stop(old, patient)
}

// stop ends a generation in the background.
func (s *site) stop(g *generation, patient bool) {
	if !patient {
		g.end()
		g.report <- &drain.Report{}
		return
	}
	go func() {
		r := g.conns.DrainWith(context.Background(), drain.DrainOptions{Reason: "upgrade"})
		g.end() // closes its listener where draining leaves that to the owner
		g.report <- r
	}()
}

// drained waits for the generations that were stopped, and fails the test if one
// was not done before its deadline.
func (s *site) drained() {
	s.t.Helper()
	for _, g := range s.generations {
		if r := <-g.report; r.Err() != nil {
			s.t.Errorf("generation %d: %v, left: %+v", g.Number(), r.Err(), r.Left)
		}
		g.Close()
	}
}

// serving runs a server in the background, which must not end by itself.
func serving(serve func() error) {
	go func() {
		if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			panic(err)
		}
	}()
}

// work is a request in a handler, which takes a moment.
func (g *generation) work() {
	g.served.Add(1)
	<-time.After(time.Millisecond)
}

// cut closes every connection now, as the end of a process does.
func (g *generation) cut() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.conns.Drain(ctx)
}
