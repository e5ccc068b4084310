package drain

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// goaway returns a function that has srv's HTTP/2 connections say GOAWAY: the
// streams they have are finished, and a client may safely repeat what it sends
// later (RFC 9113, section 6.8). net/http does it only in Shutdown, which must
// wait for the HTTP/1 connections. So another server configures HTTP/2 and
// lends it to srv, as TLSNextProto allows, and it is the one to shut down.
//
// It returns nil if srv's HTTP/2 is off or was configured by someone else.
func goaway(srv *http.Server) func() {
	if srv.TLSNextProto != nil {
		return nil
	}
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
	if lender.TLSNextProto == nil {
		return nil
	}
	srv.TLSNextProto = lender.TLSNextProto
	say := func() { lender.Shutdown(context.Background()) } // it has no connections to wait for
	srv.RegisterOnShutdown(say)
	return say
}

type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }
