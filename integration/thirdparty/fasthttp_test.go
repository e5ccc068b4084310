package thirdparty

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// quiet drops what is said of connections that are cut on purpose.
var quiet = log.New(io.Discard, "", 0)

func serveFastHTTP(g *generation, ln net.Listener) (end func()) {
	srv := &fasthttp.Server{Logger: quiet, Handler: func(ctx *fasthttp.RequestCtx) {
		g.work()
		ctx.Write(ctx.Request.Body())
	}}
	serving(func() error { return FastHTTP(g.conns, ln, srv, 3*time.Second) })
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		srv.ShutdownWithContext(ctx)
	}
}

// fastHTTPClient never repeats a request.
func fastHTTPClient(l *load) {
	c := &fasthttp.HostClient{
		Addr:                      l.addr,
		Dial:                      func(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, patience) },
		MaxIdemponentCallAttempts: 1,
		RetryIfErr:                func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}
	defer c.CloseIdleConnections()
	for n := 0; !l.stopped(); n++ {
		if err := fastPost(c, l.addr, strconv.Itoa(n)); err != nil {
			l.lose(err)
		} else {
			l.answered.Add(1)
		}
	}
}

func fastPost(c *fasthttp.HostClient, addr, body string) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod("POST")
	req.SetRequestURI("http://" + addr + "/")
	req.SetBodyString(body)
	if err := c.DoTimeout(req, resp, patience); err != nil {
		return err
	}
	if got := string(resp.Body()); got != body {
		return fmt.Errorf("sent %q, got %q", body, got)
	}
	return nil
}
