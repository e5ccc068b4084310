package handoff

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
)

// Run opens a generation, calls serve with it, and acts on signals meanwhile:
//
//	HUP             Upgrade
//	USR2            start a successor and share half of the traffic with it,
//	                until one of the two is told to stop
//	INT, QUIT, TERM Stop; a second one ends ctx of serve at once
//
// serve listens, starts its servers, calls Ready, waits for Superseded, drains
// and returns. Its context also ends when MaxDraining or a stop with "now"
// leave no more time to drain. Run returns what serve returned; an error that
// follows from a stop that was asked for is logged instead.
func Run(ctx context.Context, cfg Config, serve func(context.Context, *Generation) error) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, handledSignals...)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	opened := make(chan struct{})
	var g *Generation
	stopped := make(chan struct{})
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		stops := 0
		for {
			select {
			case sig := <-signals:
				switch {
				case isStop(sig):
					if stops++; stops == 1 {
						close(stopped)
					}
					if stops > 1 || !isClosed(opened) {
						cancel(fmt.Errorf("%w by %v", ErrStopped, sig))
						continue
					}
					g.Stop()
				case isClosed(opened):
					go g.upgradeOn(ctx, sig)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { <-handled }()
	defer cancel(nil)

	opening, err := Open(ctx, cfg)
	if err != nil {
		if errors.Is(context.Cause(ctx), ErrStopped) {
			return nil
		}
		return err
	}
	g = opening
	close(opened)
	defer g.Close()
	go func() {
		select {
		case <-g.DrainNow():
			cancel(ErrStopped)
		case <-ctx.Done():
		}
	}()
	err = serve(ctx, g)
	asked := isClosed(stopped) && (errors.Is(err, ErrRefused) || errors.Is(err, context.Canceled))
	if err != nil && (asked || errors.Is(context.Cause(ctx), ErrStopped)) {
		g.log.Warn("stopped as it was asked to", "error", err)
		return nil
	}
	return err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// upgradeOn acts on HUP and USR2. A failure is logged by the upgrade; this
// generation serves on.
func (g *Generation) upgradeOn(ctx context.Context, sig os.Signal) {
	var o UpgradeOptions
	if sharesHalf(sig) {
		o.Plan = []Share{{Share: wholeShare / 2}}
	}
	if err := g.UpgradeWith(ctx, &o); err != nil {
		g.log.Error("upgrade", "signal", sig.String(), "error", err)
	}
}
