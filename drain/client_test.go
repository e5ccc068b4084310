package drain_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// client is an HTTP/1.1 client that repeats nothing.
type client struct {
	net.Conn
	r *bufio.Reader
}

func newClient(nc net.Conn) *client {
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{nc, bufio.NewReader(nc)}
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return newClient(nc)
}

func (c *client) send(method, path string) error {
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n.", method, path)
	return err
}

// receive returns the body and whether the server will close.
func (c *client) receive() (body string, closing bool, err error) {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.Close, err
}

// post expects an answer, and that it tells whether the server will close.
func (c *client) post(t testing.TB, path string, wantClose bool) string {
	t.Helper()
	if err := c.send("POST", path); err != nil {
		t.Fatalf("send: %v", err)
	}
	return c.answered(t, wantClose)
}

func (c *client) answered(t testing.TB, wantClose bool) string {
	t.Helper()
	body, closing, err := c.receive()
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if closing != wantClose {
		t.Errorf("Connection: close is %t, want %t", closing, wantClose)
	}
	if closing {
		c.closed(t)
	}
	return body
}

// closed expects the server to close without another byte.
func (c *client) closed(t testing.TB) {
	t.Helper()
	if b, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("read %q, %v; want EOF", b, err)
	}
}

// service is an http.Server under a Conns on a loopback listener.
type service struct {
	*drain.Conns
	srv     *http.Server
	options drain.ListenerOptions
	addr    string
	done    chan error // what Serve returned
}

func serve(t testing.TB, cfg drain.Config, h http.Handler) *service {
	t.Helper()
	s := &service{Conns: drain.New(cfg), srv: &http.Server{Handler: h}}
	s.start(t, listen(t))
	return s
}

func (s *service) start(t testing.TB, ln net.Listener) {
	s.addr, s.done = ln.Addr().String(), make(chan error, 1)
	s.Server(s.srv)
	go func() { s.done <- s.srv.Serve(s.ListenerWith(ln, s.options)) }()
	t.Cleanup(func() {
		s.srv.Close()
		if err := <-s.done; err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// begin starts a drain and returns once it has begun; the report follows.
func (s *service) begin(t testing.TB) <-chan *drain.Report {
	t.Helper()
	reports := make(chan *drain.Report, 1)
	go func() { reports <- s.Drain(t.Context()) }()
	<-s.Draining()
	return reports
}

// toldToLeave waits until a few connections have all had their turn.
func (s *service) toldToLeave() {
	const turns = 50 * time.Millisecond
	wait(func() bool { return time.Since(s.Snapshot().Started) > turns })
}

// echo answers with the path.
func echo(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, r.URL.Path)
}
