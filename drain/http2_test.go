package drain_test

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

// Frame types of RFC 9113, section 6.
const (
	frameHeaders  = 1
	frameSettings = 4
	frameGoAway   = 7
)

// client2 is an HTTP/2 client of a few frames. It never acknowledges anything.
type client2 struct {
	net.Conn
	goaway bool   // received
	last   uint32 // the last stream that GOAWAY said will be answered
}

func newClient2(t *testing.T, nc net.Conn) *client2 {
	t.Helper()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client2{Conn: nc}
	io.WriteString(nc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	c.frame(frameSettings, 0, 0, "")
	return c
}

func (c *client2) frame(kind, flags byte, stream uint32, payload string) {
	b := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	c.Write(append(binary.BigEndian.AppendUint32(b, stream), payload...))
}

// get sends a request without a body: GET, https and / are entries of HPACK's
// static table, :authority is a literal.
func (c *client2) get(stream uint32) { c.frame(frameHeaders, 0x5, stream, "\x82\x87\x84\x41\x01x") }

// next returns the next frame's kind and stream, noting GOAWAY.
func (c *client2) next() (kind byte, stream uint32, err error) {
	var head [9]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, 0, err
	}
	payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c, payload); err != nil {
		return 0, 0, err
	}
	if head[3] == frameGoAway {
		c.goaway, c.last = true, binary.BigEndian.Uint32(payload)
		if code := binary.BigEndian.Uint32(payload[4:]); code != 0 {
			return 0, 0, fmt.Errorf("GOAWAY with error %d", code)
		}
	}
	return head[3], binary.BigEndian.Uint32(head[5:]), nil
}

// until reads on to a frame of that kind, on the stream if it is not 0.
func (c *client2) until(t *testing.T, kind byte, stream uint32) {
	t.Helper()
	for {
		switch k, s, err := c.next(); {
		case err != nil:
			t.Fatalf("waiting for frame %d on stream %d: %v", kind, stream, err)
		case k == kind && (stream == 0 || s == stream):
			return
		}
	}
}

// end reads to the end of the connection.
func (c *client2) end(t *testing.T) {
	t.Helper()
	for {
		if _, _, err := c.next(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !c.goaway {
		t.Error("closed without GOAWAY")
	}
}

// serve2 serves HTTP/2 over TLS or, dial's way to it, without.
func serve2(t *testing.T, plain bool, s *service) (dial func() net.Conn) {
	ln := listen(t)
	s.addr = ln.Addr().String()
	connect := func() net.Conn {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	if plain {
		s.srv.Protocols = new(http.Protocols)
		s.srv.Protocols.SetHTTP1(true)
		s.srv.Protocols.SetUnencryptedHTTP2(true)
		s.start(t, ln)
		return connect
	}
	ts := httptest.NewUnstartedServer(nil)
	ts.StartTLS() // for its certificate
	ts.Close()
	s.srv.TLSConfig = &tls.Config{Certificates: ts.TLS.Certificates}
	s.Server(s.srv)
	done := make(chan error, 1)
	go func() { done <- s.srv.ServeTLS(s.Listener(ln), "", "") }()
	t.Cleanup(func() { s.srv.Close(); <-done })
	cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	return func() net.Conn { return tls.Client(connect(), cfg) }
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"TLS": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // net/http waits a second after GOAWAY
			arrived, release := make(chan struct{}), make(chan struct{})
			s := &service{Conns: drain.New(drain.Config{IdleGrace: time.Minute}), srv: &http.Server{}}
			s.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				<-release
			})
			dial := serve2(t, plain, s)

			busy, idle := newClient2(t, dial()), newClient2(t, dial())
			idle.get(1)
			<-arrived
			release <- struct{}{}
			idle.until(t, frameHeaders, 1)
			busy.get(1)
			<-arrived
			reports := s.begin(t)

			busy.until(t, frameGoAway, 0) // while the request is in flight
			idle.until(t, frameGoAway, 0) // without one
			if busy.last != 1 || idle.last != 1 {
				t.Errorf("GOAWAY says that streams up to %d and %d are answered, want 1", busy.last, idle.last)
			}
			release <- struct{}{}
			busy.until(t, frameHeaders, 1)
			busy.end(t)
			idle.end(t)
			if r := <-reports; r.Err() != nil || r.Closed != (drain.Outcomes{Finished: 2}) {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// Clients that ask for nothing are told one after the other too, 2 ms for each.
func TestGoawayIsSpread(t *testing.T) {
	const conns, window = 200, 199 * 2 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		s, p := newService(drain.Config{}, http.HandlerFunc(echo))
		s.srv.Protocols = new(http.Protocols)
		s.srv.Protocols.SetUnencryptedHTTP2(true)
		s.start(t, p)
		told := make(chan time.Time)
		for range conns {
			time.Sleep(time.Microsecond) // of the bubble's clock
			c := newClient2(t, p.dial().Conn)
			c.get(1)
			c.until(t, frameHeaders, 1)
			go func() {
				for !c.goaway {
					if _, _, err := c.next(); err != nil {
						t.Errorf("no GOAWAY: %v", err)
						break
					}
				}
				told <- time.Now()
				io.Copy(io.Discard, c)
			}()
		}
		reports, start := s.begin(t), time.Now()
		var quarter [5]int
		for range conns {
			quarter[min(4, (<-told).Sub(start)*4/window)]++
		}
		for i, n := range quarter {
			even := conns / 4
			if i == 4 && n > 0 || i < 4 && (n < even*3/4 || n > even*5/4) {
				t.Errorf("%d were told in quarter %d", n, i)
			}
		}
		if r := <-reports; r.Err() != nil || r.Closed != (drain.Outcomes{Finished: conns}) {
			t.Errorf("report %+v", r)
		}
	})
}

// Borrowed HTTP/2 does not take GOAWAY from the server's own Shutdown.
func TestHTTP2ShutdownByOwner(t *testing.T) {
	t.Parallel()
	s := &service{Conns: drain.New(drain.Config{}), srv: &http.Server{Handler: http.HandlerFunc(echo)}}
	dial := serve2(t, false, s)
	c := newClient2(t, dial())
	c.get(1)
	c.until(t, frameHeaders, 1)
	go s.srv.Shutdown(t.Context()) // not Drain
	c.end(t)
}
