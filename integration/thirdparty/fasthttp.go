package thirdparty

import (
	"context"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/graceport/graceport/drain"
)

// FastHTTP serves srv. While draining, every response says Connection: close,
// and those who ask nothing for idleGrace are closed by srv's Shutdown, which
// closes idle connections at once, whatever is on its way.
func FastHTTP(conns *drain.Conns, ln net.Listener, srv *fasthttp.Server, idleGrace time.Duration) error {
	handler := srv.Handler
	srv.Handler = func(ctx *fasthttp.RequestCtx) {
		handler(ctx)
		if conns.Context().Err() != nil {
			ctx.SetConnectionClose()
		}
	}
	srv.CloseOnShutdown = true // it would close without saying so
	conns.OnDrain(func(ctx context.Context) { stopFastHTTP(ctx, srv, idleGrace) })
	return srv.Serve(conns.Listener(ln))
}

// stopFastHTTP is given a context that ends at the deadline. Shutdown leaves
// open what is busy then; the drain closes it.
func stopFastHTTP(ctx context.Context, srv *fasthttp.Server, idleGrace time.Duration) {
	select {
	case <-time.After(idleGrace):
	case <-ctx.Done():
	}
	srv.ShutdownWithContext(ctx)
}
