package drain_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/graceport/graceport/drain"
)

// instant is a listener that costs nothing, so that what is measured is ours.
type instant struct {
	net.Listener
	conn net.Conn
}

func (l instant) Accept() (net.Conn, error) { return l.conn, nil }

type inert struct{ net.Conn }

func (*inert) Close() error         { return nil }
func (*inert) RemoteAddr() net.Addr { return nil }

func BenchmarkAccept(b *testing.B) {
	bare := instant{conn: &inert{}}
	for name, ln := range map[string]net.Listener{
		"bare":  bare,
		"drain": drain.New(drain.Config{}).Listener(bare),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				nc, _ := ln.Accept()
				nc.Close()
			}
		})
	}
}

// BenchmarkAcceptTCP is the same with real connections.
func BenchmarkAcceptTCP(b *testing.B) {
	for _, name := range []string{"bare", "drain"} {
		b.Run(name, func(b *testing.B) {
			ln := listen(b)
			defer ln.Close()
			addr := ln.Addr().String()
			if name == "drain" {
				ln = drain.New(drain.Config{}).Listener(ln)
			}
			b.ReportAllocs()
			for b.Loop() {
				peer, err := net.Dial("tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				nc, err := ln.Accept()
				if err != nil {
					b.Fatal(err)
				}
				nc.Close()
				peer.Close()
			}
		})
	}
}

// BenchmarkRequest is a request on a keep-alive connection.
func BenchmarkRequest(b *testing.B) {
	for _, name := range []string{"bare", "drain"} {
		b.Run(name, func(b *testing.B) {
			ts := httptest.NewUnstartedServer(http.HandlerFunc(echo))
			if name == "drain" {
				conns := drain.New(drain.Config{})
				conns.Server(ts.Config)
				ts.Listener = conns.Listener(ts.Listener)
			}
			ts.Start()
			defer ts.Close()
			c := dial(b, ts.Listener.Addr().String())
			b.ReportAllocs()
			for b.Loop() {
				c.send("POST", "/")
				if _, _, err := c.receive(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
