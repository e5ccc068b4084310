package drain

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// pair returns a tracked connection that waits for a request, and its peer.
func pair(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := New(Config{})
	nc, err := c.Listener(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); peer.Close() })
	tc := nc.(*conn)
	tc.state.Store(c.stamp(stateIdle))
	return tc, peer
}

func TestRetireInterruptsRead(t *testing.T) {
	tc, _ := pair(t)
	got := make(chan error)
	go func() {
		_, err := tc.Read(make([]byte, 1))
		got <- err
	}()
	tc.SetReadDeadline(time.Now().Add(time.Hour)) // like IdleTimeout
	tc.retire()
	if err := <-got; err != io.EOF {
		t.Errorf("Read: %v, want EOF", err)
	}
	tc.Close()
	if n := tc.from.conns.Snapshot().Closed; n != (Outcomes{Idle: 1}) {
		t.Errorf("closed %+v", n)
	}
}

func TestRetireSparesWhatWaitsInTheKernel(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a receive buffer holds")
	}
	tc, peer := pair(t)
	peer.Write([]byte("GET"))
	tc.retire()
	if tc.retiring.Load() == false {
		t.Fatal("not retiring; nothing was read that would spare it")
	}
	b := make([]byte, 3)
	if n, err := tc.Read(b); n != 3 || err != nil {
		t.Fatalf("Read: %q, %v; want the request", b[:n], err)
	}

	// It lives on, under the deadline that its server set.
	tc.SetReadDeadline(time.Now().Add(time.Hour))
	peer.Write([]byte("/"))
	if n, err := tc.Read(b); n != 1 || err != nil {
		t.Errorf("Read: %q, %v", b[:n], err)
	}
	tc.Close()
	if n := tc.from.conns.Snapshot().Closed; n != (Outcomes{Finished: 1}) {
		t.Errorf("closed %+v", n)
	}
}

func TestRetireSparesWhatWasRead(t *testing.T) {
	tc, peer := pair(t)
	peer.Write([]byte("G"))
	if _, err := tc.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	tc.retire()
	if tc.retiring.Load() {
		t.Error("retires a connection that has read part of a request")
	}
	tc.heard.Store(false)
	tc.state.Store(tc.from.conns.stamp(stateActive))
	tc.retire()
	if tc.retiring.Load() {
		t.Error("retires an active connection")
	}
}

// Clearing the deadline, as net/http does again and again, does not undo it.
func TestRetireAfterClear(t *testing.T) {
	tc, _ := pair(t)
	tc.SetReadDeadline(time.Time{})
	tc.SetReadDeadline(time.Time{})
	tc.retire()
	tc.SetReadDeadline(time.Time{})
	if _, err := tc.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read: %v, want EOF", err)
	}
}

// A deadline set while retiring must not undo it, and is there afterwards.
func TestRetireKeepsDeadlines(t *testing.T) {
	tc, peer := pair(t)
	tc.retire()
	tc.SetDeadline(time.Now().Add(-time.Second))
	if _, err := tc.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read: %v, want EOF", err)
	}
	tc.reprieve()
	peer.Write([]byte("G"))
	if _, err := tc.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() {
		t.Errorf("Read: %v, want a timeout", err)
	}
}
