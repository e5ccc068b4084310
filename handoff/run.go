package handoff

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/graceport/graceport/handoff/sdnotify"
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
// leave no more time to drain; its context.Cause then matches [ErrStopped]. When
// serve has returned, the generation is closed. Run returns what serve returned,
// or the error of [Open]; an error that follows from a stop that was asked for is
// logged instead.
//
// Under a systemd unit with Type=notify, where NOTIFY_SOCKET is set, Run sets
// Config.Notify: the unit is started when Ready succeeds; a successor that this
// generation starts becomes its main process when our last socket is closed,
// and until then the unit reloads; the watchdog is fed; and a drain is given
// time as long as it lasts, so serve must bound it. A manager that does not
// listen is logged, and changes nothing.
func Run(ctx context.Context, cfg Config, serve func(context.Context, *Generation) error) error {
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	if cfg.Notify == nil {
		n, err := sdnotify.New()
		if err != nil {
			cfg.Logger.Warn("the service manager is not notified", "error", err)
		}
		defer n.Close()
		cfg.Notify = n
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, handledSignals...)
	defer signal.Stop(signals)
	whole := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	opened := make(chan struct{})
	var g *Generation
	stopped := make(chan struct{})
	returning := make(chan struct{})
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
					}
					if isClosed(opened) {
						g.stopOn(stops)
					}
				case isClosed(opened):
					go g.upgradeOn(ctx, sig)
				}
			case <-returning:
				return
			}
		}
	}()
	defer func() {
		close(returning)
		<-handled
	}()

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
	if cfg.Linger && g.wasReplaced() {
		g.Close()
		g.log.Info("drained, staying until it is told to stop")
		select {
		case <-stopped:
		case <-whole.Done():
		}
	}
	asked := g.stopAsked.Load() && (errors.Is(err, ErrRefused) || errors.Is(err, ErrStopped) || errors.Is(err, context.Canceled))
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

// wasReplaced reports whether we have served, and no longer do, without having
// been told to stop.
func (g *Generation) wasReplaced() bool {
	return isClosed(g.serving) && isClosed(g.superseded) && !g.stopAsked.Load()
}

// stopOn acts on INT, QUIT and TERM, the first or a later one.
func (g *Generation) stopOn(times int) {
	if times > 1 {
		g.expire()
		return
	}
	g.Stop()
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
