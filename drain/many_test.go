package drain_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// What may be asked of a hundred thousand connections.
const (
	many           = 100_000
	manyShort      = 5000
	mostMemory     = 40 << 20
	mostForSnap    = 100 * time.Millisecond
	mostForForce   = time.Second
	snapshotsTried = 5 // the fastest counts: other processes run too
)

func howMany() int {
	if testing.Short() || raceEnabled {
		return manyShort
	}
	return many
}

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// trackMany has n connections without a kernel tracked.
func trackMany(t *testing.T, conns *drain.Conns, opts drain.ListenerOptions, n int) {
	ln := conns.ListenerWith(instant{conn: &inert{}}, opts)
	for range n {
		if _, err := ln.Accept(); err != nil {
			t.Fatal(err)
		}
	}
}

// fastestSnapshot is how long a Snapshot takes.
func fastestSnapshot(conns *drain.Conns) time.Duration {
	fastest := time.Hour
	for range snapshotsTried {
		start := time.Now()
		conns.Snapshot()
		fastest = min(fastest, time.Since(start))
	}
	return fastest
}

func TestManyTracked(t *testing.T) {
	n := howMany()
	before := heap()
	conns := drain.New(drain.Config{})
	trackMany(t, conns, drain.ListenerOptions{}, n)
	used := heap() - before
	snap := fastestSnapshot(conns)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r := conns.Drain(ended)
	t.Logf("%d connections: %.1f MB, a snapshot in %v, closed by force in %.3f s", n, float64(used)/1e6, snap, r.Seconds)
	if used < int64(n)*100 || used > mostMemory {
		t.Errorf("tracking uses %d bytes, want at most %d and no less than there is", used, mostMemory)
	}
	if snap > mostForSnap {
		t.Errorf("a snapshot takes %v, want %v", snap, mostForSnap)
	}
	if r.Closed != (drain.Outcomes{Forced: uint64(n)}) || r.Seconds > mostForForce.Seconds() || len(r.Left) != 10 {
		t.Errorf("report %+v", r)
	}
}

func TestManySpread(t *testing.T) {
	const window = 2 * time.Second
	n := howMany()
	conns := drain.New(drain.Config{})
	trackMany(t, conns, drain.ListenerOptions{Policy: drain.Spread, Grace: -1, Window: window}, n)
	reports := make(chan *drain.Report)
	go func() { reports <- conns.Drain(t.Context()) }()
	start := time.Now()
	wait(func() bool { return time.Since(start) > window/2 })
	half := conns.Snapshot().Closed.Cut
	if r := <-reports; r.Err() != nil || r.Closed != (drain.Outcomes{Cut: uint64(n)}) || r.Seconds < 0.9*window.Seconds() {
		t.Errorf("report %+v", r)
	}
	if half == 0 || half > uint64(n)*3/4 {
		t.Errorf("%d of %d closed in half the window", half, n)
	}
}

func TestManyCut(t *testing.T) {
	n := howMany()
	conns := drain.New(drain.Config{})
	trackMany(t, conns, drain.ListenerOptions{Policy: drain.Cut, Grace: -1}, n)
	if r := conns.Drain(t.Context()); r.Err() != nil || r.Closed != (drain.Outcomes{Cut: uint64(n)}) {
		t.Errorf("report %+v", r)
	}
}
