package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/graceport/graceport/handoff"
)

func upgradeCommand() *command {
	c := &command{
		name:    "upgrade",
		summary: "replace the leading generation by its next build",
		usage:   "[-share PLAN] [-probation TIME] DIR",
		help: `Have the generation that leads the service start its successor, from the path
of its executable as it is now, and wait until that leads. Progress goes to
stderr. The exit status is 0 when the successor leads and 1, with the reason,
when it does not; then the old generation serves on.

With -share the successor first receives a share of the new connections, one
step after the other: 1%:30s,10%:1m holds 1% for 30 s, then 10% for a minute,
then takes all. A step without a time is held until "graceport share" moves it.
With -probation the old generation keeps its sockets that long after that, and
"graceport rollback" gives everything back to it at once.

Examples:
  graceport upgrade /run/hello
  graceport upgrade -share 1%:30s,10%:1m,50%:1m -probation 5m /run/hello`,
	}
	c.run = func(ctx context.Context, args []string) int {
		fs := c.flags()
		share := fs.String("share", "", "`plan` of shares; empty means the service's own")
		probation := fs.Duration("probation", 0, "`time` in which everything can be given back; 0 means the service's own")
		if status, done := c.parse(fs, args, 1, 1); done {
			return status
		}
		o := &handoff.UpgradeOptions{Probation: handoff.Duration(*probation), Progress: printProgress(time.Now())}
		if *probation < 0 {
			return c.misused(fmt.Errorf("-probation %v is negative", *probation))
		}
		if *share != "" {
			var err error
			if o.Plan, err = handoff.ParsePlan(*share); err != nil {
				return c.misused(err)
			}
		}
		service, err := handoff.NewService(fs.Arg(0))
		if err == nil {
			err = service.Upgrade(ctx, o)
		}
		if err != nil {
			return c.failed(err)
		}
		return exitOK
	}
	return c
}

// progressText says what has happened, in an operator's words.
var progressText = map[string]string{
	"started": "successor started",
	"hello":   "successor joined",
	"bound":   "successor has opened its sockets, dark",
	"sharing": "successor receives a share",
	"leading": "successor leads",
	"retire":  "old generation closes its sockets",
	"done":    "done",
}

func printProgress(began time.Time) func(handoff.Progress) {
	return func(p handoff.Progress) {
		text := progressText[p.Event]
		if text == "" {
			return // a failure is the error
		}
		if p.PID != 0 {
			text += fmt.Sprintf(" (pid %d)", p.PID)
		}
		fmt.Fprintf(os.Stderr, "%7.3fs  %s\n", time.Since(began).Seconds(), text)
	}
}
