package drain

import (
	"bufio"
	"io"
	"math/bits"
	"net"
	"net/http"
	"strings"
	"time"
)

// lameDuck makes the responses of its handler carry Connection: close while
// draining, from the connection's turn on, also those whose request came before.
// net/http then closes an HTTP/1 connection after the response, and sends GOAWAY
// on an HTTP/2 one.
type lameDuck struct {
	handler http.Handler
	conns   *Conns
}

// Handlers ask a writer what it can do, so the wrappers can exactly what
// net/http's own writers for HTTP/1 and HTTP/2 can.
type (
	common interface {
		http.ResponseWriter
		http.Flusher
		io.StringWriter
		FlushError() error
		CloseNotify() <-chan bool
	}
	common1 interface {
		common
		http.Hijacker
		io.ReaderFrom
	}
	common2 interface {
		common
		http.Pusher
	}
)

func (l *lameDuck) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tc, ok := r.Context().Value(connKey{}).(*conn)
	if ok && tc.from.conns == l.conns {
		tc.asks(r)
	} else {
		tc = nil
	}
	switch t := w.(type) {
	case common1:
		w = &response1{response[common1]{t, l.conns, tc}}
	case common2:
		w = &response2{response[common2]{t, l.conns, tc}}
	}
	l.handler.ServeHTTP(w, r)
	// A handler that wrote nothing has sent no header yet.
	if l.conns.leaves(tc) {
		sayClose(w.Header())
	}
}

// leaveWindow is how long after the start of a drain that has n connections the
// last of them is told to leave by its response.
func (c *Conns) leaveWindow(n int) time.Duration {
	return max(0, min(time.Duration(n-1)*closeEvery, c.grace, c.deadline.Sub(c.started)/2))
}

// leaves reports whether a response that is sent now on tc is its last. Clients
// that were all told at once would open their next connections at once. One that
// is not tracked has no turn to wait for, nor has a long poll, which would be asked
// again for nothing.
func (c *Conns) leaves(tc *conn) bool {
	switch {
	case !c.draining():
		return false
	case tc == nil || tc.is(long):
		return true
	}
	turn, _ := bits.Mul64(uint64(c.leaving), tc.turn())
	return time.Since(c.started) >= time.Duration(turn)
}

// turn is the fraction of the window, in parts of 1<<64, after which c leaves: as
// even as a hash (Knuth, The Art of Computer Programming, section 6.4:
// multiplication by the golden ratio).
func (c *conn) turn() uint64 { return uint64(c.accepted) * 0x9E3779B97F4A7C15 }

// sayClose spares "Connection: upgrade", which belongs to a 101 response.
func sayClose(h http.Header) {
	if v := h.Get("Connection"); v == "" || strings.EqualFold(v, "keep-alive") {
		h.Set("Connection", "close")
	}
}

// response sets the header at the last moment, when it is sent.
type response[W common] struct {
	w     W
	conns *Conns
	conn  *conn // nil if it is not tracked
}

func (w *response[W]) closing() {
	if w.conns.leaves(w.conn) {
		sayClose(w.w.Header())
	}
}

func (w *response[W]) Header() http.Header { return w.w.Header() }

func (w *response[W]) WriteHeader(code int) {
	if code >= 200 {
		w.closing()
	}
	w.w.WriteHeader(code)
}

func (w *response[W]) Write(p []byte) (int, error) {
	w.closing()
	return w.w.Write(p)
}

func (w *response[W]) WriteString(s string) (int, error) {
	w.closing()
	return w.w.WriteString(s)
}

func (w *response[W]) Flush() {
	w.closing()
	w.w.Flush()
}

func (w *response[W]) FlushError() error {
	w.closing()
	return w.w.FlushError()
}

func (w *response[W]) CloseNotify() <-chan bool { return w.w.CloseNotify() }

// Unwrap serves http.ResponseController.
func (w *response[W]) Unwrap() http.ResponseWriter { return w.w }

type response1 struct{ response[common1] }

func (w *response1) ReadFrom(r io.Reader) (int64, error) {
	w.closing()
	return w.w.ReadFrom(r)
}

func (w *response1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.w.Hijack() }

type response2 struct{ response[common2] }

func (w *response2) Push(target string, opts *http.PushOptions) error {
	return w.w.Push(target, opts)
}
