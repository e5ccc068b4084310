package drain

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// maxTarget bounds what is kept of a request's target. It is a part of the
// request line as net/http read it, which may be as long as its headers.
const maxTarget = 256

type connKey struct{}

// requestContext is the connection as the context of its requests. A value of
// context.WithValue would be another allocation for each connection.
type requestContext conn

var _ context.Context = (*requestContext)(nil)

func (c *requestContext) Deadline() (time.Time, bool) { return c.base.Deadline() }
func (c *requestContext) Done() <-chan struct{}       { return c.base.Done() }
func (c *requestContext) Err() error                  { return c.base.Err() }

func (c *requestContext) Value(key any) any {
	if key == (connKey{}) {
		return (*conn)(c)
	}
	return c.base.Value(key)
}

// asks notes r as the last request of the connection.
func (c *conn) asks(r *http.Request) {
	method, target := r.Method, r.RequestURI
	if r.URL.User != nil {
		target = r.URL.EscapedPath() // no passwords
	}
	if i := strings.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	if len(method)+len(r.RequestURI) > maxTarget {
		method, target = method[:min(len(method), maxTarget)], target[:min(len(target), maxTarget)]
		line := method + target // a copy: what was read can go
		method, target = line[:len(method)], line[len(method):]
	}
	c.mu.Lock()
	c.method, c.target = method, target
	c.mu.Unlock()
}

// request returns the last request's method and target, or "".
func (c *conn) request() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.method == "" {
		return ""
	}
	return c.method + " " + c.target
}
