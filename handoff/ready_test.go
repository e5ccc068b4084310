package handoff_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// BenchmarkReady measures from the call of Ready until every new connection
// goes to the successor. It fails if the median is not below readyLimit. There
// is no round trip in it: the successor steers before it speaks.
func BenchmarkReady(b *testing.B) {
	const readyLimit = 2 * time.Millisecond
	dir, err := os.MkdirTemp("", "graceport")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dir = filepath.Join(dir, "d")
	old, oldAccepted := generation(b, dir, "127.0.0.1:0")
	if err := old.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	addr := old.Status().Listeners[0].Address
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		next, accepted := generation(b, dir, addr)
		for range 5 { // in the dark until then
			connect(b, addr, oldAccepted)
		}
		b.StartTimer()
		began := time.Now()
		if err := next.Ready(b.Context()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		b.StopTimer()
		for range 20 {
			connect(b, addr, accepted)
		}
		<-old.Superseded()
		old.Close()
		old, oldAccepted = next, accepted
		// It leads alone before the next joins, so that only Ready is measured.
		for old.Status().State != "leading" {
		}
		b.StartTimer()
	}
	old.Close()
	slices.Sort(took)
	median := took[len(took)/2]
	b.ReportMetric(float64(median.Microseconds()), "median-µs")
	if median > readyLimit {
		b.Errorf("the median of %d takeovers is %v, the limit %v", len(took), median, readyLimit)
	}
}

// generation joins, and tells of each connection that it accepts.
func generation(b *testing.B, dir, addr string) (*handoff.Generation, <-chan net.Conn) {
	b.Helper()
	g, err := handoff.Open(b.Context(), handoff.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := g.Listen(b.Context(), "tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	return g, accepted
}

// connect fails the benchmark if the connection is not accepted there.
func connect(b *testing.B, addr string, accepted <-chan net.Conn) {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	select {
	case got := <-accepted:
		got.Close()
	case <-time.After(patience):
		b.Fatal("a new connection went to the other generation")
	}
}

// A successor may join the moment that its predecessor has released the lock.
// It must find a leader then, not believe that it is alone.
func TestNextJoinsAtOnce(t *testing.T) {
	dir := filepath.Join(newService(t).Dir, "d")
	var old *handoff.Generation
	addr := "127.0.0.1:0"
	cfg := handoff.Config{Dir: dir}
	cfg.OnStep(func(_ *handoff.Generation, step string) {
		if strings.HasSuffix(step, "/unlock after") {
			<-time.After(50 * time.Millisecond) // the moment, made long
		}
	})
	for range 10 {
		g, err := handoff.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := g.Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		addr = ln.Addr().String()
		go func() {
			for {
				if _, err := ln.Accept(); err != nil {
					return
				}
			}
		}()
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if old != nil {
			select {
			case <-old.Superseded():
				old.Close()
			case <-time.After(patience):
				t.Fatalf("generation %d was passed over by generation %d", old.Number(), g.Number())
			}
		}
		old = g
	}
	old.Close()
}
