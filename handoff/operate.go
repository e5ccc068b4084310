package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// phase asks the loop, and so waits for the actions under way: who hears that we
// drain may rely on our sockets being closed, and who has got the lock that we
// released hears that we lead.
func (g *Generation) phase() phase {
	p := phaseEnded
	g.do(func() { p = g.loop.m.phase })
	return p
}

// share sets our share by hand, while we share.
func (g *Generation) share(share int) error {
	err := fmt.Errorf("a share can be chosen only while a successor shares, this generation is %v", g.phase())
	g.do(func() {
		if g.loop.m.phase == phaseSharing {
			g.step(event{kind: evShare, n: share})
			err = nil
		}
	})
	return err
}

// errNoTakeover says why there is nothing to roll back.
var errNoTakeover = errors.New("nothing to roll back: only a takeover that is sharing or in probation can be")

// rollback ends a takeover that shares or is in probation, from either side.
func (g *Generation) rollback() error {
	err := errNoTakeover
	g.do(func() {
		switch g.loop.m.phase {
		case phaseHosting, phaseSharing, phaseProbation, phaseStarved:
			g.step(event{kind: evRollback, reason: "it was rolled back by the operator"})
			err = nil
		}
	})
	return err
}

// healthInterval is how often Config.Health is asked.
const healthInterval = time.Second

// watchHealth gives everything back when the application finds itself unwell
// while its predecessor can still serve, as long as the phase lasts.
func (g *Generation) watchHealth(during phase) {
	if g.cfg.Health == nil {
		return
	}
	t := time.NewTicker(healthInterval)
	defer t.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), g.cfg.StepTimeout)
		err := g.cfg.Health(ctx)
		cancel()
		if g.phase() != during {
			return
		}
		if err != nil {
			g.post(event{kind: evRollback, reason: "its health check failed: " + err.Error()})
			return
		}
		select {
		case <-t.C:
		case <-g.ended:
			return
		}
	}
}
