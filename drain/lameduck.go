package drain

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
)

// lameDuck makes the responses of its handler carry Connection: close while
// draining, also those whose request came before. net/http then closes an
// HTTP/1 connection after the response, and sends GOAWAY on an HTTP/2 one.
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
	if tc, ok := r.Context().Value(connKey{}).(*conn); ok && tc.from.conns == l.conns {
		tc.asks(r)
	}
	switch t := w.(type) {
	case common1:
		w = &response1{response[common1]{t, l.conns}}
	case common2:
		w = &response2{response[common2]{t, l.conns}}
	}
	l.handler.ServeHTTP(w, r)
	// A handler that wrote nothing has sent no header yet.
	if l.conns.draining() {
		sayClose(w.Header())
	}
}

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
}

func (w *response[W]) closing() {
	if w.conns.draining() {
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
