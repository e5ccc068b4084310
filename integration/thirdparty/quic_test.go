package thirdparty

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/graceport/graceport/handoff"
)

// serveQUIC answers every stream by the generation.
func serveQUIC(t *testing.T, dir, addr string, key *quic.StatelessResetKey) (*handoff.Generation, net.Addr) {
	t.Helper()
	g, err := handoff.Open(t.Context(), handoff.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	conn, err := g.ListenPacket(t.Context(), "udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: conn, StatelessResetKey: key}
	t.Cleanup(func() { tr.Close() })
	ln, err := tr.Listen(&tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"test"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept(context.Background())
			if err != nil {
				return
			}
			go answerStreams(c, g.Number())
		}
	}()
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g, conn.LocalAddr()
}

func answerStreams(c *quic.Conn, generation int) {
	for {
		s, err := c.AcceptStream(context.Background())
		if err != nil {
			return
		}
		io.Copy(io.Discard, s)
		fmt.Fprint(s, generation)
		s.Close()
	}
}

// askQUIC returns the generation that answers a stream.
func askQUIC(c *quic.Conn) (generation int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(s, "%040d", 0); err != nil { // long enough for a reset
		return 0, err
	}
	s.Close()
	answer, err := io.ReadAll(s)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(answer))
}

func dialQUIC(t *testing.T, addr net.Addr) *quic.Conn {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(certificate().Leaf)
	c, err := quic.DialAddr(t.Context(), addr.String(), &tls.Config{RootCAs: roots, NextProtos: []string{"test"}},
		&quic.Config{MaxIdleTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseWithError(0, "") })
	return c
}

// A QUIC connection does not survive a takeover: its datagrams go to the
// successor, which does not know it. If the generations have one stateless reset
// key the client is told at once, and otherwise when its idle timeout has passed.
// New connections are served throughout.
func TestQUIC(t *testing.T) {
	key := new(quic.StatelessResetKey)
	rand.Read(key[:])
	for name, tt := range map[string]struct {
		key  *quic.StatelessResetKey
		told func(error) bool
	}{
		"a key that is shared": {key, func(err error) bool {
			return errors.As(err, new(*quic.StatelessResetError))
		}},
		"no key": {nil, func(err error) bool {
			return errors.As(err, new(*quic.IdleTimeoutError))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir() + "/d"
			first, addr := serveQUIC(t, dir, "127.0.0.1:0", tt.key)
			c := dialQUIC(t, addr)
			if g, err := askQUIC(c); g != 1 || err != nil {
				t.Fatalf("generation %d answers, error %v", g, err)
			}
			serveQUIC(t, dir, addr.String(), tt.key)
			select {
			case <-first.Superseded():
			case <-time.After(patience):
				t.Fatal("the first generation has not closed its socket")
			}
			if g, err := askQUIC(c); !tt.told(err) {
				t.Errorf("after the takeover generation %d answers, error %v", g, err)
			}
			if g, err := askQUIC(dialQUIC(t, addr)); g != 2 || err != nil {
				t.Errorf("a new connection: generation %d answers, error %v", g, err)
			}
		})
	}
}
