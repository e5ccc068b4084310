package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// inheritFleet starts the first generation of fd-inherit, as one does by hand.
func inheritFleet(t *testing.T) (*fleet, *process) {
	t.Helper()
	o := testOptions(t, "fd-inherit", "short")
	release, err := adoptOrphans()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(release)
	f, err := newFleet(o, find(methods(), "fd-inherit", (*method).id), find(scenarios(), "short", (*scenario).id))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if killed := f.close(); len(killed) > 0 {
			t.Errorf("left over: %d", killed)
		}
	})
	p, err := f.start(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return f, p
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// send delivers sig to p and, if a child is to follow, waits for it.
func send(t *testing.T, f *fleet, p *process, sig syscall.Signal) *process {
	t.Helper()
	if err := p.signal(sig); err != nil {
		t.Fatal(err)
	}
	if sig != syscall.SIGHUP && sig != sigUSR2 {
		if err := p.gone(soon(t)); err != nil {
			t.Fatal(err)
		}
		return nil
	}
	next, err := f.announced(soon(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if next.pid == p.pid || next.generation != p.generation+1 {
		t.Fatalf("generation %d (pid %d) followed %d (pid %d)", next.generation, next.pid, p.generation, p.pid)
	}
	return next
}

// answerers makes requests until every wanted generation has answered one.
func answerers(t *testing.T, f *fleet, want ...int) {
	t.Helper()
	c := newShortClient(&target{addr: f.addr, timeout: 5 * time.Second})
	missing := map[int]bool{}
	for _, g := range want {
		missing[g] = true
	}
	for range 10_000 {
		g, fl := c.do(t.Context())
		if fl != nil {
			t.Fatal(fl)
		}
		delete(missing, g)
		if len(missing) == 0 {
			return
		}
	}
	t.Errorf("generations that never answered: %v", missing)
}

func TestInheritHangupReplaces(t *testing.T) {
	f, first := inheritFleet(t)
	answerers(t, f, 1)
	second := send(t, f, first, syscall.SIGHUP)
	if err := first.gone(soon(t)); err != nil {
		t.Fatal(err)
	}
	third := send(t, f, second, syscall.SIGHUP)
	if err := second.gone(soon(t)); err != nil {
		t.Fatal(err)
	}
	answerers(t, f, 3)
	send(t, f, third, syscall.SIGINT)
}

func TestInheritUSR2Shares(t *testing.T) {
	f, first := inheritFleet(t)
	second := send(t, f, first, sigUSR2)
	answerers(t, f, 1, 2)
	send(t, f, first, syscall.SIGQUIT)
	answerers(t, f, 2)
	send(t, f, second, syscall.SIGTERM)
}

// A request that is not finished does not keep the process beyond 5 s.
func TestInheritEndsWithin5s(t *testing.T) {
	f, p := inheritFleet(t)
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
	if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 100 Continue\r\n"))); err != nil {
		t.Fatal(err) // the handler has not begun to read
	}
	began := time.Now()
	send(t, f, p, syscall.SIGINT)
	if d := time.Since(began); d < shutdownTimeout-100*time.Millisecond || d > shutdownTimeout+2*time.Second {
		t.Errorf("ended after %v, want %v", d, shutdownTimeout)
	}
}

func TestListenerEnvironment(t *testing.T) {
	env, err := exportListener([]string{"A=1", "LISTENER={}", "B=2"}, inherited{Addr: ":8080", FD: 3, Name: "tcp", Generation: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := `LISTENER={"addr":":8080","fd":3,"filename":"tcp","generation":2}`
	if len(env) != 3 || env[2] != want {
		t.Errorf("environment %q, want A, B and %s", env, want)
	}
	for _, meta := range []string{"", "{", `{"fd":"x"}`, `{"fd":1000000}`} {
		if ln, _, err := importListener(meta); err == nil {
			ln.Close()
			t.Errorf("importListener(%q) succeeded", meta)
		}
	}
}
