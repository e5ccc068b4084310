package drain_test

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

func TestRequestOfConnection(t *testing.T) {
	long := "/" + strings.Repeat("x", 400)
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: x":                                    "GET /",
		"GET /a%20b?token=secret HTTP/1.1\r\nHost: x":                  "GET /a%20b",
		"PROPFIND /a HTTP/1.1\r\nHost: x":                              "PROPFIND /a",
		"GET http://user:secret@x/a?b HTTP/1.1\r\nHost: x":             "GET /a",
		"GET http://x/a?token=secret HTTP/1.1\r\nHost: x":              "GET http://x/a",
		"CONNECT x:80 HTTP/1.1\r\nHost: x":                             "CONNECT x:80",
		"GET " + long + " HTTP/1.1\r\nHost: x":                         "GET " + long[:256],
		"GET /a?" + long + " HTTP/1.1\r\nHost: x":                      "GET /a",
		strings.Repeat("M", 300) + " / HTTP/1.1\r\nHost: x":            strings.Repeat("M", 256) + " /",
		"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x": "GET /2",
	} {
		s := serve(t, drain.Config{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		c := dial(t, s.addr)
		io.WriteString(c, request+"\r\n\r\n")
		for range strings.Count(request, "Host") {
			if _, _, err := c.receive(); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.Snapshot().Oldest; len(got) != 1 || got[0].Request != want {
			t.Errorf("%.40q: %+v, want %q", request, got, want)
		}
	}
}

// The request is known over HTTP/2 and TLS too, where ours is not the
// connection that net/http reads from.
func TestRequestOfHTTP2(t *testing.T) {
	for name, plain := range map[string]bool{"TLS": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			s := &service{Conns: drain.New(drain.Config{}), srv: &http.Server{Handler: http.HandlerFunc(echo)}}
			c := newClient2(t, serve2(t, plain, s)())
			if got := s.Snapshot().Oldest; len(got) > 0 && got[0].Request != "" {
				t.Errorf("before: %+v", got)
			}
			c.get(1)
			c.until(t, frameHeaders, 1)
			if got := s.Snapshot().Oldest; len(got) != 1 || got[0].Request != "GET /" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The kernel counts what a connection has received and sent.
func TestTraffic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	conns := drain.New(drain.Config{})
	nc, peer := accept(t, conns)
	get := func() drain.ConnInfo { return conns.Snapshot().Oldest[0] }
	if got := get(); got.BytesIn != 0 || got.BytesOut != 0 {
		t.Errorf("before: %+v", got)
	}
	io.WriteString(peer, "hello")
	io.ReadFull(nc, make([]byte, 5))
	go nc.(io.ReaderFrom).ReadFrom(strings.NewReader("goodbye"))
	io.ReadFull(peer, make([]byte, 7))
	got := get()
	if got.BytesIn != 5 || got.BytesOut != 7 || got.Accepted.IsZero() || got.IdleSeconds > got.Seconds+1 {
		t.Errorf("after: %+v", got)
	}
	wait(func() bool { return get().IdleSeconds > 0.05 })
	io.WriteString(peer, "x")
	io.ReadFull(nc, make([]byte, 1))
	if again := get(); again.IdleSeconds >= again.Seconds || again.BytesIn != 6 {
		t.Errorf("later: %+v", again)
	}
}

func TestOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		conns := drain.New(drain.Config{Timeout: time.Minute})
		p := newPipes()
		defer p.Close()
		ln := conns.ListenerWith(p, drain.ListenerOptions{Name: "ssh"})
		for range 12 {
			go p.dial()
			if _, err := ln.Accept(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		check := func(list []drain.ConnInfo, age float64) {
			t.Helper()
			if len(list) != 10 {
				t.Fatalf("%d listed", len(list))
			}
			for i, c := range list {
				want := drain.ConnInfo{
					Listener: "ssh", Remote: "pipe", State: "active",
					Accepted: start.Add(time.Duration(i) * time.Second).Round(0),
					Seconds:  age - float64(i), IdleSeconds: age - float64(i),
				}
				if c != want {
					t.Errorf("%d is %+v, want %+v", i, c, want)
				}
			}
		}
		check(conns.Snapshot().Oldest, 12)
		check(conns.Drain(t.Context()).Left, 12+60)
	})
}

// Counts by listener add up to the whole, and listeners of one name are one.
func TestSnapshotByListener(t *testing.T) {
	conns := drain.New(drain.Config{})
	open := func(name string, n int) (list []net.Conn) {
		ln := listen(t)
		defer ln.Close()
		tracked := conns.ListenerWith(ln, drain.ListenerOptions{Name: name})
		for range n {
			dial(t, ln.Addr().String())
			nc, err := tracked.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			list = append(list, nc)
		}
		return list
	}
	open("web", 3)[0].Close()
	open("ssh", 4)[1].Close()
	open("web", 2)
	s := conns.Snapshot()
	want := []drain.ListenerSnapshot{
		{Name: "web", Open: drain.States{Active: 4}, Accepted: 5, Closed: drain.Outcomes{Finished: 1}},
		{Name: "ssh", Open: drain.States{Active: 3}, Accepted: 4, Closed: drain.Outcomes{Finished: 1}},
	}
	if len(s.Listeners) != 2 || s.Listeners[0] != want[0] || s.Listeners[1] != want[1] {
		t.Errorf("%+v", s.Listeners)
	}
	if s.Open.Active != 7 || s.Accepted != 9 || s.Closed.Finished != 2 {
		t.Errorf("%+v", s)
	}
}
