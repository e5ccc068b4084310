package handoff

import "context"

// trimDraining tells the oldest of the other generations that drain, beyond
// MaxDraining, to end now. One that does not answer cannot be told, and keeps
// its own deadline.
func (g *Generation) trimDraining() {
	if g.cfg.MaxDraining == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-g.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	service := Service{dir: g.dir, Timeout: g.cfg.StepTimeout / 4}
	all, err := service.Status(ctx)
	if err != nil {
		return // we are closing
	}
	drain := 0
	for _, st := range all {
		if st.Generation == g.number || st.State != phaseDraining.String() {
			continue
		}
		if drain++; drain <= g.cfg.MaxDraining {
			continue
		}
		g.log.Warn("too many generations drain, the oldest ends now", "oldest", st.Generation, "pid", st.PID, "limit", g.cfg.MaxDraining)
		if err := service.Stop(ctx, st.Generation, true); err != nil {
			g.log.Debug("it could not be told to end", "oldest", st.Generation, "error", err)
		}
	}
}
