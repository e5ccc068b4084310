package bench

import (
	"cmp"
	"context"
	"sync"
)

// A load is a number of clients at work on one service.
type load struct {
	*recorder
	pace    pace
	release context.CancelFunc // of connections that clients hold
	wg      sync.WaitGroup
}

// startLoad sets the clients to work. They stop at finish, or when ctx ends.
func startLoad(ctx context.Context, s *scenario, t target, o *Options) *load {
	l := &load{recorder: newRecorder(o.Timeout)}
	t.timeout, t.handshake = o.Timeout, l.handshake
	if o.Rate > 0 {
		l.pace = newOpenLoop(o.Rate)
	} else {
		l.pace = newClosedLoop()
	}
	holding, release := context.WithCancel(ctx)
	l.release = release
	for range cmp.Or(s.conns, o.Conns) {
		c := s.client(&t)
		l.wg.Go(func() {
			defer c.close()
			l.work(ctx, holding, c)
		})
	}
	return l
}

func (l *load) work(ctx, holding context.Context, c client) {
	holder, holds := c.(holdingClient)
	var previous *failure
	for {
		from, ok := l.pace.next(ctx, previous)
		if !ok {
			return
		}
		generation, f := c.do(ctx)
		if ctx.Err() != nil {
			return // given up: what failed now says nothing about the server
		}
		l.record(from, generation, f)
		previous = f
		if holds {
			holder.hold(holding)
		}
	}
}

// finish lets the requests under way end and returns when all clients have
// closed their connections.
func (l *load) finish() {
	l.pace.stop()
	l.release()
	l.wg.Wait()
	l.recorder.finish()
}
