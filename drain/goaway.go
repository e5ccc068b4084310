package drain

import (
	"context"
	"crypto/tls"
	"math/bits"
	"net"
	"net/http"
	"time"
)

// goawayParts is how many groups of HTTP/2 connections are told GOAWAY one after
// the other.
const goawayParts = 32

// lenders have a server's HTTP/2 connections say GOAWAY: the streams they have
// are finished, and a client may safely repeat what it sends later (RFC 9113,
// section 6.8). net/http does it only in Shutdown, which must wait for the HTTP/1
// connections, and to all at once. So other servers configure HTTP/2 and lend it,
// as TLSNextProto allows, each to a part of the connections, and they are the ones
// to shut down.
type lenders []*http.Server

// lend returns nil if srv's HTTP/2 is off or was configured by someone else.
func lend(srv *http.Server) lenders {
	if srv.TLSNextProto != nil {
		return nil
	}
	all := make(lenders, goawayParts)
	for i := range all {
		all[i] = newLender(srv)
		if all[i].TLSNextProto == nil {
			return nil
		}
	}
	srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	for proto := range all[0].TLSNextProto {
		srv.TLSNextProto[proto] = func(hs *http.Server, nc *tls.Conn, h http.Handler) {
			all.of(nc).TLSNextProto[proto](hs, nc, h)
		}
	}
	srv.RegisterOnShutdown(func() {
		for part := range all {
			all.goaway(part)
		}
	})
	return all
}

func newLender(srv *http.Server) *http.Server {
	lender := &http.Server{
		Protocols:   srv.Protocols,
		HTTP2:       srv.HTTP2,
		IdleTimeout: srv.IdleTimeout,
		ReadTimeout: srv.ReadTimeout,
	}
	if t := srv.TLSConfig; t != nil {
		// net/http refuses a list of ciphers that HTTP/2 cannot do with; then
		// srv is left alone and refuses too.
		lender.TLSConfig = &tls.Config{
			CipherSuites: t.CipherSuites,
			MinVersion:   t.MinVersion,
			NextProtos:   []string{"h2"},
		}
	}
	lender.Serve(noListener{}) // configures HTTP/2, then finds nothing to accept
	return lender
}

// of returns the one for a connection: told no later than the connection's turn
// to leave is.
func (l lenders) of(nc net.Conn) *http.Server {
	var part uint64
	if tc := tracked(nc); tc != nil {
		part, _ = bits.Mul64(goawayParts, tc.turn())
	}
	return l[part]
}

func (l lenders) goaway(part int) {
	l[part].Shutdown(context.Background()) // it has no connections to wait for
}

// sayGoaway has each part of the servers' HTTP/2 connections told in its turn.
func (c *Conns) sayGoaway(servers []*server) {
	for part := range goawayParts {
		select {
		case <-time.After(time.Until(c.started.Add(c.leaving * time.Duration(part) / goawayParts))):
		case <-c.done:
			return
		}
		for _, s := range servers {
			if s.lenders != nil {
				s.lenders.goaway(part)
			}
		}
	}
}

type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }
