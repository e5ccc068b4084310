package handoff

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// control serves one generation's socket: HTTP/1.1 and JSON for operators,
// and the takeover by upgrade of the protocol.
type control struct {
	g    *Generation
	ln   *controlListener
	file os.FileInfo
	srv  *http.Server
}

const (
	controlHeaders = 16 << 10
	controlIdle    = 30 * time.Second
)

func (g *Generation) serveControl() (*control, error) {
	ln, file, err := g.dir.listen(g.number)
	if err != nil {
		return nil, err
	}
	c := &control{g: g, ln: &controlListener{Listener: ln, g: g}, file: file}
	c.srv = &http.Server{
		Handler:           c.routes(),
		ReadHeaderTimeout: g.cfg.StepTimeout,
		IdleTimeout:       controlIdle,
		MaxHeaderBytes:    controlHeaders,
		ConnState:         c.ln.state,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	go c.srv.Serve(c.ln)
	return c, nil
}

// closeTime bounds the wait for answers under way when a generation ends.
const closeTime = time.Second

func (c *control) close() {
	c.g.dir.remove(c.g.number, c.file)
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if c.srv.Shutdown(ctx) != nil {
		c.srv.Close()
	}
}

func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", c.status)
	mux.HandleFunc("POST /v1/upgrade", c.upgrade)
	mux.HandleFunc("POST /v1/share", c.share)
	mux.HandleFunc("POST /v1/rollback", c.rollback)
	mux.HandleFunc("POST /v1/stop", c.stop)
	mux.HandleFunc("POST /v1/takeover", c.takeover)
	if c.g.cfg.Metrics != nil {
		mux.Handle("GET /metrics", c.g.cfg.Metrics)
	}
	return c.readBody(mux)
}

// readBody reads every request's body before it is handled, within StepTimeout.
// No deadline is left on the connection then: its passing would end the
// request's context.
func (c *control) readBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		conn.SetReadDeadline(time.Now().Add(c.g.cfg.StepTimeout))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			c.fail(w, http.StatusBadRequest, fmt.Errorf("the body of at most %d bytes did not arrive: %w", maxBody, err))
			return
		}
		conn.SetReadDeadline(time.Time{})
		whole := *r
		whole.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, &whole)
	})
}

// problem is the body of every answer that is an error.
type problem struct {
	Error string `json:"error"`
	State string `json:"state"`
}

func (c *control) fail(w http.ResponseWriter, code int, err error) {
	answer(w, code, problem{Error: err.Error(), State: c.g.phase().String()})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}

// body reads a request's JSON object; none at all is an empty one.
func (c *control) body(w http.ResponseWriter, r *http.Request, v any) bool {
	err := json.NewDecoder(r.Body).Decode(v)
	if err == nil || errors.Is(err, io.EOF) {
		return true
	}
	c.fail(w, http.StatusBadRequest, fmt.Errorf("the body is not the JSON object that is expected here: %w", err))
	return false
}

func (c *control) status(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, c.g.Status())
}

// upgrade streams the progress, one JSON object a line. The upgrade goes on
// when the client does not wait for its end.
func (c *control) upgrade(w http.ResponseWriter, r *http.Request) {
	var o UpgradeOptions
	if !c.body(w, r, &o) {
		return
	}
	begun := false
	out := json.NewEncoder(w)
	o.Progress = func(p Progress) {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		out.Encode(p)
		http.NewResponseController(w).Flush()
	}
	err := c.g.UpgradeWith(context.WithoutCancel(r.Context()), &o)
	if err != nil && !begun {
		c.fail(w, http.StatusConflict, err)
	}
}

func (c *control) share(w http.ResponseWriter, r *http.Request) {
	var request Share
	if !c.body(w, r, &request) {
		return
	}
	if err := checkPlan([]Share{request}); err != nil {
		c.fail(w, http.StatusBadRequest, err)
		return
	}
	if err := c.g.share(request.Share); err != nil {
		c.fail(w, http.StatusConflict, err)
		return
	}
	answer(w, http.StatusOK, c.g.Status())
}

func (c *control) rollback(w http.ResponseWriter, _ *http.Request) {
	if err := c.g.rollback(); err != nil {
		c.fail(w, http.StatusConflict, err)
		return
	}
	answer(w, http.StatusAccepted, c.g.Status())
}

func (c *control) stop(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Now bool `json:"now"`
	}
	if !c.body(w, r, &request) {
		return
	}
	c.g.Stop()
	if request.Now {
		c.g.expire()
	}
	answer(w, http.StatusAccepted, c.g.Status())
}

// takeover begins the conversation with a successor.
func (c *control) takeover(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), takeoverProtocol) {
		w.Header().Set("Upgrade", takeoverProtocol)
		c.fail(w, http.StatusUpgradeRequired, fmt.Errorf("a takeover needs the header Upgrade: %s", takeoverProtocol))
		return
	}
	if p := c.g.phase(); p != phaseLeading {
		c.fail(w, http.StatusConflict, fmt.Errorf("%w: it is %v", ErrNotLeading, p))
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		c.fail(w, http.StatusInternalServerError, err)
		return
	}
	peer, err := peerCredentials(conn.(*controlConn).Conn)
	if err != nil {
		conn.Close()
		return
	}
	first, _ := rw.Reader.Peek(rw.Reader.Buffered())
	conn = conn.(*controlConn).Conn
	conv := newConversation(conn, peer)
	// Until it has said hello it is nobody.
	conn.SetDeadline(time.Now().Add(c.g.cfg.StepTimeout))
	ok := false
	c.g.do(func() {
		if ok = c.g.hostTakeover(conv); ok {
			_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+takeoverProtocol+"\r\n\r\n")
			conn.SetWriteDeadline(time.Time{})
		}
	})
	if !ok {
		body, _ := json.Marshal(problem{Error: ErrNotLeading.Error(), State: c.g.phase().String()})
		fmt.Fprintf(conn, "HTTP/1.1 409 Conflict\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		conn.Close()
		return
	}
	c.g.converse(conv, &readAhead{Reader: conn, first: first}, c.g.lowerEnd(peer))
}

// maxStrangers is how many control connections may be open that have not sent
// a whole request. Beyond it the oldest is closed, so that a newcomer, which
// may be a successor, is always heard.
const maxStrangers = 64

// controlListener accepts peers of our own user, or root.
type controlListener struct {
	net.Listener
	g *Generation

	mu     sync.Mutex
	silent []net.Conn // in StateNew or StateIdle, the oldest first
}

// controlConn marks a connection that passed the check of its peer.
type controlConn struct{ net.Conn }

func (l *controlListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := peerCredentials(conn)
		if err == nil && (peer.uid == os.Geteuid() || peer.uid == 0) {
			return &controlConn{conn}, nil
		}
		l.g.log.Warn("control connection refused", "uid", peer.uid, "pid", peer.pid, "error", err)
		conn.Close()
	}
}

// state keeps the list of silent connections; it is the server's ConnState.
func (l *controlListener) state(conn net.Conn, s http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range l.silent {
		if c == conn {
			l.silent = append(l.silent[:i], l.silent[i+1:]...)
			break
		}
	}
	if s == http.StateNew || s == http.StateIdle {
		l.silent = append(l.silent, conn)
		if len(l.silent) > maxStrangers {
			l.silent[0].Close()
		}
	}
}
