package drain_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/graceport/graceport/drain"
)

// Tracking may cost a connection one allocation, of 150 bytes.
func TestCostOfTracking(t *testing.T) {
	measure := func(ln net.Listener) (allocs, bytes int64) {
		r := testing.Benchmark(func(b *testing.B) {
			for b.Loop() {
				nc, _ := ln.Accept()
				nc.Close()
			}
		})
		return r.AllocsPerOp(), r.AllocedBytesPerOp()
	}
	bare := instant{conn: &inert{}}
	allocs, bytes := measure(drain.New(drain.Config{}).Listener(bare))
	a, b := measure(bare)
	t.Logf("%d allocations, %d bytes; without drain %d, %d", allocs, bytes, a, b)
	if allocs-a > 1 || bytes-b > 150 {
		t.Errorf("tracking costs %d allocations and %d bytes a connection, want 1 and 150", allocs-a, bytes-b)
	}
}

// What net/http calls for a connection costs no more of them.
func TestCostOfServer(t *testing.T) {
	conns := drain.New(drain.Config{})
	srv := &http.Server{}
	conns.Server(srv)
	nc, _ := accept(t, conns)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		srv.ConnContext(ctx, nc)
		for _, st := range []http.ConnState{http.StateNew, http.StateActive, http.StateIdle} {
			srv.ConnState(nc, st)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if got := srv.ConnContext(ctx, nc); got == ctx || got.Done() != ctx.Done() {
		t.Error("the connection is not in its context")
	}
}

// Reading and writing allocate nothing, here or beneath.
func TestCostOfReadAndWrite(t *testing.T) {
	nc, peer := accept(t, drain.New(drain.Config{}))
	b := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		nc.Write(b)
		io.ReadFull(peer, b)
		peer.Write(b)
		io.ReadFull(nc, b)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// The context of requests ends and holds what it would without drain.
func TestConnContextChains(t *testing.T) {
	type key struct{}
	conns := drain.New(drain.Config{})
	srv := &http.Server{ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, key{}, nc)
	}}
	conns.Server(srv)
	nc, _ := accept(t, conns)
	base, end := context.WithCancelCause(t.Context())
	ctx := srv.ConnContext(base, nc)
	if ctx.Value(key{}) != nc {
		t.Error("what the service's own ConnContext added is missing")
	}
	child, cancel := context.WithCancel(ctx)
	defer cancel()
	end(io.EOF)
	if <-child.Done(); context.Cause(child) != io.EOF {
		t.Errorf("cause %v", context.Cause(child))
	}
}
