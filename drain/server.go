package drain

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// server is an http.Server under drain.
type server struct {
	*http.Server
	lenders lenders       // nil if HTTP/2 can be told only by Shutdown
	down    chan struct{} // closed when Shutdown returned; nil before it is called
	cut     bool          // Shutdown left something; set before down is closed
}

func (c *Conns) attach(srv *http.Server) *server {
	state := srv.ConnState
	srv.ConnState = func(nc net.Conn, st http.ConnState) {
		c.connState(nc, st)
		if state != nil {
			state(nc, st)
		}
	}

	handler := srv.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	srv.Handler = &lameDuck{handler, c}

	base := srv.BaseContext
	srv.BaseContext = func(ln net.Listener) context.Context {
		ctx := context.Background()
		if base != nil {
			ctx = base(ln)
		}
		return context.WithValue(ctx, connsKey{}, c)
	}

	withConn := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		if tc := tracked(nc); tc != nil && tc.from.conns == c {
			tc.base, ctx = ctx, (*requestContext)(tc)
		}
		if withConn != nil {
			ctx = withConn(ctx, nc)
		}
		return ctx
	}
	return &server{Server: srv, lenders: lend(srv)}
}

// connState is the hook. Connections that did not come through our Listener
// are left to Shutdown.
func (c *Conns) connState(nc net.Conn, st http.ConnState) {
	tc := tracked(nc)
	if tc == nil || tc.from.conns != c {
		return
	}
	// Active follows the handshake, so asking for its result does not block.
	if t, ok := nc.(*tls.Conn); ok && st == http.StateActive {
		if _, was := c.unstamp(tc.state.Load()); was == stateNew && t.ConnectionState().NegotiatedProtocol == "h2" {
			tc.mark(http2)
		}
	}
	c.changed(tc, st)
}

// tracked finds our connection beneath TLS and other wrappers.
func tracked(nc net.Conn) *conn {
	for {
		switch t := nc.(type) {
		case *conn:
			return t
		case interface{ NetConn() net.Conn }:
			nc = t.NetConn()
		case interface{ UnencryptedNetConn() net.Conn }: // net/http's, without TLS
			nc = t.UnencryptedNetConn()
		default:
			return nil
		}
	}
}
