package thirdparty

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"

	"github.com/graceport/graceport/drain"
)

// GRPC serves srv, and ends it with GracefulStop: GOAWAY, and the calls that
// were begun finish. What the client begins later it repeats elsewhere by itself.
// At the deadline Stop ends the rest.
func GRPC(conns *drain.Conns, ln net.Listener, srv *grpc.Server) error {
	conns.OnDrain(func(ctx context.Context) { stopGRPC(ctx, srv) })
	return srv.Serve(conns.Listener(ln))
}

// stopGRPC is given a context that ends at the deadline.
func stopGRPC(ctx context.Context, srv *grpc.Server) {
	// GracefulStop closes a connection that was accepted a moment ago and whose
	// goroutine has not begun. The calls that wait for it would fail.
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	defer context.AfterFunc(ctx, srv.Stop)()
	srv.GracefulStop()
}

// settle is long for a goroutine to begin. Nobody waits for it: the successor
// serves.
const settle = 100 * time.Millisecond
