package drain_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/graceport/graceport/drain"
)

// endings are drain and what everybody else does, begun and not waited for.
var endings = map[string]func(*testing.T, *service){
	"drain": func(t *testing.T, s *service) { s.begin(t) },
	"shutdown": func(t *testing.T, s *service) {
		down := make(chan struct{})
		s.srv.RegisterOnShutdown(func() { close(down) })
		go s.srv.Shutdown(t.Context())
		<-down
	},
}

// Of requests that were pipelined when draining began, the one in flight is
// answered with Connection: close. The server must not answer those after it
// (RFC 9112, section 9.6), so that a client knows which to repeat.
func TestPipelining(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	served := 0
	s := serve(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served++; served == 2 {
			close(arrived)
			<-release
		}
		echo(w, r)
	}))
	c := dial(t, s.addr)
	var all strings.Builder
	for i := range 4 {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
	}
	io.WriteString(c, all.String())
	if got := c.answered(t, false); got != "/0" {
		t.Errorf("first answer %q", got)
	}
	<-arrived
	reports := s.begin(t)
	close(release)
	if got := c.answered(t, true); got != "/1" { // and nothing after it
		t.Errorf("second answer %q", got)
	}
	if r := <-reports; r.Closed != (drain.Outcomes{Finished: 1}) || served != 2 {
		t.Errorf("served %d, report %+v", served, r)
	}
}

// The first of two requests of one write is read when draining begins, the
// second waits in the server's buffer, not in the kernel. Only drain answers a
// request that was read but had not begun.
func TestPipelinedAfterAnswer(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			s := serve(t, drain.Config{}, http.HandlerFunc(echo))
			c := dial(t, s.addr)
			io.WriteString(c, "GET /0 HTTP/1.1\r\nHost: x\r\n\r\nGET /1 HTTP/1.1\r\n")
			if got := c.answered(t, false); got != "/0" {
				t.Errorf("answer %q", got)
			}
			end(t, s)
			io.WriteString(c, "Host: x\r\n\r\n")
			_, closing, err := c.receive()
			if answered := err == nil && closing; answered != (name == "drain") {
				t.Errorf("answered: %t, %v", answered, err)
			}
		})
	}
}

// An upload in chunks goes on while the server drains, however long it pauses.
func TestChunkedUpload(t *testing.T) {
	arrived := make(chan struct{}, 1)
	s := serve(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", b, err)
	}))
	c, idle := dial(t, s.addr), dial(t, s.addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
	<-arrived
	reports := s.begin(t)
	s.toldToLeave()
	io.WriteString(c, "3\r\ntwo\r\n")
	idle.send("POST", "/") // something else happens meanwhile
	<-arrived
	idle.answered(t, true)
	io.WriteString(c, "5\r\nthree\r\n0\r\n\r\n")
	if got := c.answered(t, true); got != "onetwothree <nil>" {
		t.Errorf("answer %q", got)
	}
	if r := <-reports; r.Closed != (drain.Outcomes{Finished: 2}) {
		t.Errorf("report %+v", r)
	}
}

// An upload whose header is half sent when the end begins is taken whole by
// drain and lost by Shutdown.
func TestChunkedUploadBegins(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			s := serve(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(w, r.Body)
			}))
			c := dial(t, s.addr)
			c.post(t, "/", false)
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n")
			end(t, s)
			io.WriteString(c, "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
			body, _, err := c.receive()
			if got := err == nil && body == "onetwo"; got != (name == "drain") {
				t.Errorf("answer %q, %v", body, err)
			}
		})
	}
}
