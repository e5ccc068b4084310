package handoffprom

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/graceport/graceport/handoff"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// keepTime bounds the wait for the lock, which others hold for milliseconds.
const keepTime = 5 * time.Second

// Keep leaves the last numbers of a generation to those that come after it. Call
// it when its connections have drained, and before its control socket is closed:
// at the end of the function that is given to handoff.Run. What is counted later
// is lost. Where nobody has gathered yet it does nothing.
//
// own is what Config.Metrics shows. Keep waits 5 s at most for others that write.
// When it fails, the numbers that were gathered last count.
func (g *Gatherer) Keep(of *handoff.Generation, own prometheus.Gatherer) error {
	last, err := snapshot(own)
	if err == nil {
		err = g.keep(of.Number(), last)
	}
	if err != nil {
		return fmt.Errorf("handoffprom: the last metrics of generation %d: %w", of.Number(), err)
	}
	return nil
}

func (g *Gatherer) keep(n int, last families) error {
	service, err := handoff.NewService(g.store.dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTime)
	defer cancel()
	unlock, err := g.store.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if used, err := g.store.used(); !used || err != nil {
		return err
	}
	// As if it had been gathered: so those that ended before it are added up, if
	// nobody gathers any more.
	r, err := g.read(service, []answer{{generation: n, families: last}})
	if err != nil {
		return err
	}
	return g.write(service, r)
}

// snapshot gathers a copy, as another process would see it.
func snapshot(own prometheus.Gatherer) (families, error) {
	gathered, err := own.Gather()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, delimited)
	for _, f := range gathered {
		if err := e.Encode(f); err != nil {
			return nil, err
		}
	}
	return decode(b.Bytes(), delimited)
}
