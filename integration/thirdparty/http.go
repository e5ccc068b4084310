package thirdparty

import (
	"crypto/tls"
	"net"
	"net/http"

	"github.com/graceport/graceport/drain"
)

// HTTP serves HTTP/1.1, and HTTP/2 if srv.Protocols has it unencrypted.
// Draining answers every request with Connection: close, or says GOAWAY and lets
// the streams finish. opts are for what handlers hijack, such as WebSocket.
func HTTP(conns *drain.Conns, ln net.Listener, srv *http.Server, opts drain.ListenerOptions) error {
	conns.Server(srv) // before Serve, after srv's other fields are set
	return srv.Serve(conns.ListenerWith(ln, opts))
}

// HTTPS is HTTP over TLS. The tracked listener is beneath TLS.
func HTTPS(conns *drain.Conns, ln net.Listener, srv *http.Server, cert tls.Certificate) error {
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	conns.Server(srv)
	return srv.ServeTLS(conns.Listener(ln), "", "")
}
