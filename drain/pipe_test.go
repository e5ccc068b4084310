package drain_test

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/graceport/graceport/drain"
)

// pipes is a listener without a kernel, for synctest.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-p.conns:
		return nc, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial() *client {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return &client{ours, bufio.NewReader(ours)}
}

func newService(cfg drain.Config, h http.Handler) (*service, *pipes) {
	return &service{Conns: drain.New(cfg), srv: &http.Server{Handler: h}}, newPipes()
}

func servePipes(t *testing.T, cfg drain.Config, h http.Handler) (*service, *pipes) {
	s, p := newService(cfg, h)
	s.start(t, p)
	return s, p
}
