package drain_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// Responses to requests that were in flight when draining began.
func TestResponsesInFlight(t *testing.T) {
	for name, respond := range map[string]func(http.ResponseWriter){
		"nothing":     func(http.ResponseWriter) {},
		"header":      func(w http.ResponseWriter) { w.Header().Set("X", "y") },
		"write":       func(w http.ResponseWriter) { w.Write([]byte("x")) },
		"string":      func(w http.ResponseWriter) { io.WriteString(w, "x") },
		"status":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) },
		"hints":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints); w.Write([]byte("x")) },
		"flush":       func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"flush error": func(w http.ResponseWriter) { http.NewResponseController(w).Flush() },
		"read from": func(w http.ResponseWriter) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("x", 1<<20)))
		},
		"keep-alive": func(w http.ResponseWriter) { w.Header().Set("Connection", "keep-alive") },
		"file": func(w http.ResponseWriter) {
			http.ServeContent(w, &http.Request{}, "", time.Time{}, strings.NewReader(strings.Repeat("x", 1<<20)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, release := make(chan struct{}), make(chan struct{})
			s := serve(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Before", "draining")
				close(arrived)
				<-release
				respond(w)
			}))
			c := dial(t, s.addr)
			c.send("GET", "/")
			<-arrived
			reports := s.begin(t)
			close(release)
			if name == "hints" {
				resp, err := http.ReadResponse(c.r, nil)
				if err != nil || resp.StatusCode != http.StatusEarlyHints || resp.Close {
					t.Errorf("hints: %v, %v", resp, err)
				}
			}
			c.answered(t, true)
			if r := <-reports; r.Closed != (drain.Outcomes{Finished: 1}) {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// The header was sent before draining began: the next response tells.
func TestHeaderWasSent(t *testing.T) {
	sent, release := make(chan struct{}, 2), make(chan struct{}, 2)
	s := serve(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		sent <- struct{}{}
		<-release
	}))
	c := dial(t, s.addr)
	c.send("POST", "/")
	<-sent
	s.begin(t)
	release <- struct{}{}
	release <- struct{}{}
	c.answered(t, false)
	c.post(t, "/", true)
}

// What handlers ask of a writer has the same answers as without us.
func TestWriterAssertions(t *testing.T) {
	type answers struct{ flusher, hijacker, readerFrom, stringWriter, pusher, fullDuplex bool }
	got := make(chan answers, 1)
	ask := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var a answers
		_, a.flusher = w.(http.Flusher)
		_, a.hijacker = w.(http.Hijacker)
		_, a.readerFrom = w.(io.ReaderFrom)
		_, a.stringWriter = w.(io.StringWriter)
		_, a.pusher = w.(http.Pusher)
		a.fullDuplex = http.NewResponseController(w).EnableFullDuplex() == nil
		got <- a
	})
	var conns [2]func() net.Conn
	for i, wrapped := range []bool{true, false} {
		s := &service{Conns: drain.New(drain.Config{}), srv: &http.Server{Handler: ask}}
		s.Server(s.srv)
		if !wrapped {
			s.srv.Handler = ask
		}
		conns[i] = serve2(t, true, s)
	}
	for proto, request := range map[string]func(net.Conn){
		"HTTP/1": func(nc net.Conn) { io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") },
		"HTTP/2": func(nc net.Conn) { newClient2(t, nc).get(1) },
	} {
		request(conns[0]())
		ours := <-got
		request(conns[1]())
		if bare := <-got; ours != bare || !ours.flusher {
			t.Errorf("%s: %+v, without us %+v", proto, ours, bare)
		}
	}
}

// A 101 response keeps its Connection header.
func TestUpgradeWhileDraining(t *testing.T) {
	s := serve(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		io.Copy(nc, io.LimitReader(rw, 5))
	}))
	c := dial(t, s.addr)
	reports := s.begin(t)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header["Connection"]; len(got) != 1 || got[0] != "Upgrade" {
		t.Errorf("Connection: %q", got)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(c.r, b); err != nil || string(b) != "hello" {
		t.Errorf("echo %q, %v", b, err)
	}
	<-reports
}
