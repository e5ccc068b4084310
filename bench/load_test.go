package bench

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A peer is a server in this process that answers its n-th request, counted
// over all connections, in the n-th way, and every later one properly.
type peer struct {
	net.Listener
	ways   []way
	mu     sync.Mutex
	served int
	done   chan struct{} // closed after the last of ways, and some more
	wg     sync.WaitGroup
}

type way func(net.Conn) (keep bool)

const proper = "HTTP/1.1 200 OK\r\nGraceport-Generation: 1\r\nContent-Length: 2\r\n\r\nok"

func answer(text string, keep bool) way {
	return func(c net.Conn) bool {
		io.WriteString(c, text)
		return keep
	}
}

func resetting(c net.Conn) bool {
	c.(*net.TCPConn).SetLinger(0)
	return false
}

func newPeer(t *testing.T, ways ...way) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{Listener: ln, ways: ways, done: make(chan struct{})}
	p.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.wg.Wait()
	})
	return p
}

func (p *peer) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		if !p.next()(conn) || req.Close {
			return
		}
	}
}

func (p *peer) next() way {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.served
	p.served++
	if p.served == len(p.ways)+50 {
		close(p.done)
	}
	if n < len(p.ways) {
		return p.ways[n]
	}
	return answer(proper, true)
}

// loaded puts a load on p until each way was used, and returns what it saw.
func loaded(t *testing.T, p *peer, scenarioName string, o *Options) *Measurement {
	t.Helper()
	s := find(scenarios(), scenarioName, (*scenario).id)
	l := startLoad(t.Context(), s, target{addr: p.Addr().String()}, o)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		t.Error("the load has stopped making requests")
	}
	l.finish()
	res := &Measurement{}
	l.fill(res)
	return res
}

func TestEveryLossIsCountedOnce(t *testing.T) {
	drop := answer("", false)
	ways := []way{
		drop, drop, drop,
		resetting, resetting,
		answer("HTTP/1.1 200 OK\r\nGraceport-Generation: 1\r\nContent-Length: 9\r\n\r\nshort", false),
		answer("HTTP/1.1 200 OK\r\nGrace", false),
		answer("nonsense\r\n\r\n", false),
		answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true),
		answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true), // from whom?
	}
	want := map[string]int{"first-byte/eof": 3, "first-byte/reset": 2, "response/eof": 2, "response/other": 3}
	for _, scenario := range []string{"short", "keepalive"} {
		t.Run(scenario, func(t *testing.T) {
			p := newPeer(t, ways...)
			res := loaded(t, p, scenario, &Options{Conns: 4, Timeout: 5 * time.Second})
			if res.Lost != len(ways) {
				t.Errorf("lost %d, want %d", res.Lost, len(ways))
			}
			for k, n := range want {
				if res.LostBy[k] != n {
					t.Errorf("%s: %d, want %d", k, res.LostBy[k], n)
				}
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if res.Requests != p.served {
				t.Errorf("%d requests counted, %d arrived", res.Requests, p.served)
			}
		})
	}
}

func TestConnectionCloseIsObeyed(t *testing.T) {
	closing := answer("HTTP/1.1 200 OK\r\nGraceport-Generation: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false)
	p := newPeer(t, closing, closing, closing, closing)
	if res := loaded(t, p, "keepalive", &Options{Conns: 2, Timeout: 5 * time.Second}); res.Lost != 0 {
		t.Errorf("lost %d (%v), want none", res.Lost, res.LostBy)
	}
}

func TestSilenceIsATimeout(t *testing.T) {
	release := make(chan struct{})
	p := newPeer(t, func(net.Conn) bool { <-release; return false })
	defer close(release)
	res := loaded(t, p, "short", &Options{Conns: 2, Timeout: time.Second})
	if res.LostBy["first-byte/timeout"] != 1 || res.Lost != 1 {
		t.Errorf("lost %v, want one first-byte/timeout", res.LostBy)
	}
}

func TestClosedIdleConnectionIsNotUsed(t *testing.T) {
	p := newPeer(t, answer(proper, false)) // closes without saying so
	c := newKeepaliveClient(&target{addr: p.Addr().String(), timeout: 5 * time.Second}).(*keepaliveClient)
	defer c.close()
	if _, f := c.do(t.Context()); f != nil {
		t.Fatal(f)
	}
	if _, err := c.conn.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read %v, want the peer's FIN", err)
	}
	if _, f := c.do(t.Context()); f != nil {
		t.Errorf("the closed connection was used: %v", f)
	}
}

func TestRefusedDialsAreSpaced(t *testing.T) {
	addr, err := freeAddress("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := scenarios()[0]
	l := startLoad(t.Context(), s, target{addr: addr}, &Options{Conns: 1, Timeout: time.Second})
	<-time.After(100 * time.Millisecond)
	l.finish()
	res := &Measurement{}
	l.fill(res)
	if n := res.LostBy["dial/refused"]; n == 0 || n > 100 || n != res.Lost {
		t.Errorf("%v in 100 ms, want between 1 and 100 dial/refused", res.LostBy)
	}
}
