package thirdparty

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/valyala/fasthttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/graceport/graceport/drain"
)

// stubborn are connections that do not end when they are asked to. open returns
// when the server has the connection, and ended when the client sees its end.
var stubborn = []struct {
	name  string
	serve service
	open  func(s *site) (ended func())
}{
	{"a WebSocket handler that is not told", serveDeaf, openUpgraded},
	{"a WebSocket client that says no goodbye", serveWebSocket, openSilent},
	{"an HTTP handler that is not told", serveDeaf, openPlain},
	{"a gRPC stream that its client never ends", serveGRPC, openStream},
	{"an SSH session", serveSSH, openSession},
	{"a fasthttp handler that does not end", serveDeafFastHTTP, openPlain},
	{"a client of lines that stays", serveLines, openLines},
}

// What does not end by itself ends at the deadline, and not earlier.
func TestDeadline(t *testing.T) {
	for _, tt := range stubborn {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.serve)
			g := s.leader()
			ended := tt.open(s)
			end := make(chan time.Time, 1)
			go func() {
				ended()
				end <- time.Now()
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			r := g.conns.Drain(ctx)
			// grpc's Stop may close it at the same time, and be counted or not.
			if !r.TimedOut || r.Open != 1 || r.Closed.Idle+r.Closed.Cut != 0 {
				t.Errorf("%+v", r)
			}
			select {
			case at := <-end:
				if at.Before(r.Deadline) {
					t.Errorf("ended %v before the deadline", r.Deadline.Sub(at))
				}
			case <-time.After(patience):
				t.Error("did not end")
			}
			g.end()
		})
	}
}

// serveDeaf has a handler that knows nothing of draining, and of anything else.
func serveDeaf(g *generation, ln net.Listener) (end func()) {
	done := make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
		}
		g.served.Add(1)
		<-done
	})}
	serving(func() error { return HTTP(g.conns, ln, srv, drain.ListenerOptions{Policy: drain.Wait}) })
	return func() { close(done) }
}

func serveDeafFastHTTP(g *generation, ln net.Listener) (end func()) {
	done := make(chan struct{})
	srv := &fasthttp.Server{Logger: quiet, Handler: func(ctx *fasthttp.RequestCtx) {
		g.served.Add(1)
		<-done
	}}
	serving(func() error { return FastHTTP(g.conns, ln, srv, time.Millisecond) })
	return func() { close(done) }
}

func (s *site) dial() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// toEnd reads what comes and answers none of it.
func toEnd(r io.Reader) func() { return func() { io.Copy(io.Discard, r) } }

func openRequest(s *site, header, rest string) (ended func()) {
	conn := s.dial()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: test\r\n%s\r\n%s", header, rest)
	if !until(func() bool { return s.leader().served.Load() == 1 }) {
		s.t.Fatal("no handler was called")
	}
	return toEnd(conn)
}

func openPlain(s *site) func() { return openRequest(s, "", "") }

const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

func openUpgraded(s *site) func() { return openRequest(s, upgrade, "") }

// openSilent sends one message, a masked frame of RFC 6455, and nothing more.
func openSilent(s *site) func() {
	return openRequest(s, upgrade, "\x81\x80\x00\x00\x00\x00")
}

func openStream(s *site) (ended func()) {
	cc, err := grpc.NewClient("passthrough:///"+s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cc.Close() })
	stream, err := testgrpc.NewTestServiceClient(cc).FullDuplexCall(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	c := &calls{load: new(load)}
	if _, err := c.message(stream); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			s.t.Errorf("the stream ended with %v", err)
		}
	}
}

func openSession(s *site) (ended func()) {
	session, err := dialSSH(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(session.close)
	if _, err := session.line("hello"); err != nil {
		s.t.Fatal(err)
	}
	return toEnd(session.out)
}

func openLines(s *site) (ended func()) {
	conn := s.dial()
	r := bufio.NewReader(conn)
	if err := askLine(conn, r, "hello"); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		// After the goodbye the server sends nothing, so only a write can tell
		// that the connection is gone.
		io.Copy(io.Discard, r)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := fmt.Fprintln(conn, "hello"); err != nil {
				return
			}
			<-tick.C
		}
	}
}
