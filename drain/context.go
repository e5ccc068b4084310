package drain

import (
	"context"
	"errors"
	"math"
	"time"
)

type connsKey struct{}

// Context returns a copy of a request's context that also ends when its server
// begins to drain, with a [*Draining] as its [context.Cause]: for handlers whose
// response may last longer than draining does, such as event streams. What it
// governs then has until the drain's deadline to say goodbye. Call cancel when
// done. While draining, its HTTP/1 response is the last one of the connection, whose
// turn to be told so does not matter.
//
// A request's context ends when its handler returns; what outlives the
// handler, such as a hijacked connection, watches [Conns.Context].
//
// A context that did not come from a server given to [Conns.Server] is never
// told of draining.
func Context(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	ctx, cause := context.WithCancelCause(ctx)
	c, ok := ctx.Value(connsKey{}).(*Conns)
	if !ok {
		return ctx, func() { cause(nil) }
	}
	if tc, ok := ctx.Value(connKey{}).(*conn); ok {
		tc.mark(long)
	}
	stop := context.AfterFunc(c.begun, func() { cause(context.Cause(c.begun)) })
	return ctx, func() { stop(); cause(nil) }
}

// Turn is like Context, but while all contexts of Context end at the same time,
// Turn's end evenly spread over the Grace of the listener, or most of what the
// deadline leaves. It is for handlers whose clients come back at once, such as
// those of WebSocket and event streams: each says goodbye when it is its turn.
func Turn(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	told, stop := Context(ctx)
	ctx, cause := context.WithCancelCause(ctx)
	context.AfterFunc(told, func() {
		why := context.Cause(told)
		var d *Draining
		if !errors.As(why, &d) {
			cause(why)
			return
		}
		timer := time.AfterFunc(turn(ctx, d), func() { cause(why) })
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() { cause(nil); stop() }
}

// turn returns how long the next to ask has to wait. The fractions of the
// multiples of the golden ratio fill an interval evenly, however many there
// are.
func turn(ctx context.Context, d *Draining) time.Duration {
	c, ok := ctx.Value(connsKey{}).(*Conns)
	if !ok {
		return 0
	}
	grace := c.grace
	if tc, ok := ctx.Value(connKey{}).(*conn); ok {
		grace = tc.from.opts.Grace
	}
	window := max(0, min(grace, time.Until(d.Deadline)*19/20))
	_, fraction := math.Modf(float64(c.turns.Add(1)) * math.Phi)
	return time.Duration(fraction * float64(window))
}
