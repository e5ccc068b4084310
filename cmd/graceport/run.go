package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/graceport/graceport/cmd/graceport/internal/supervise"
)

func runCommand() *command {
	c := &command{
		name:    "run",
		summary: "run a program as PID 1, or restart any program that sets SO_REUSEPORT",
		usage:   "[-listen ADDR]... [flags] -- COMMAND [ARGUMENT]...",
		help: `Run COMMAND as the first process of a container, or anywhere: forward signals
to it, reap what it leaves, and end with its exit status, or with 128 and the
number of the signal that killed it.

Without -listen, COMMAND is a service that replaces itself, such as one on
package handoff. All signals go to its main process: that which the one before
named with MAINPID= on NOTIFY_SOCKET, else the newest when the one before has
ended. The end comes when no process is left.

With -listen, COMMAND is a program in any language that listens on ADDR with
SO_REUSEPORT and stays in the foreground. HUP starts a second copy of it, keeps
it dark until it is ready, gives it all new connections, waits until nothing is
left in the old copy's sockets, and sends that its stop signal. If the new copy
ends or is not ready in time, it is killed and the old one serves on. TERM
becomes the stop signal; other signals are forwarded. If the old copy ends
before the new one is ready, the new one leads at once. It has to run as the
program's user, or with CAP_SYS_PTRACE; the latter, in a container too, if the
program changes its user or has file capabilities.

A check of -ready is repeated until it passes:
  tcp:HOST:PORT    connects. The port must be one that the program listens on
                   for checks only, with SO_REUSEPORT: it leads to the new copy
                   before the others do
  http://HOST:PORT/PATH   answers 2xx; the same holds for its port
  exec:COMMAND     a shell command succeeds; GRACEPORT_PID is the new copy
  notify           the program sends READY=1 to NOTIFY_SOCKET
Without -ready a copy is ready when it listens on every ADDR and the number of
its sockets has not changed for 0.1 s.

Examples:
  graceport run -- hello -addr :8080 -dir /run/hello
  graceport run -listen :80 -listen :443 -stop QUIT -- nginx -g 'daemon off;'
  graceport run -listen :8000 -ready http://127.0.0.1:8001/ready -- python3 serve.py`,
	}
	c.run = func(ctx context.Context, args []string) int {
		o := &supervise.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
		fs := c.flags()
		fs.Func("listen", "`address` that the program listens on, HOST:PORT or :PORT; may be repeated", func(v string) error {
			o.Listen = append(o.Listen, v)
			return nil
		})
		fs.StringVar(&o.Ready, "ready", "", "`check` that a new copy must pass")
		fs.StringVar(&o.Stop, "stop", "", "`signal` that makes a copy stop gracefully (default "+supervise.DefaultStop+")")
		fs.StringVar(&o.Restart, "restart", "", "`signal` on which to restart (default "+supervise.DefaultRestart+")")
		fs.DurationVar(&o.ReadyTimeout, "ready-timeout", supervise.DefaultReadyTimeout, "`time` in which a new copy must be ready")
		fs.DurationVar(&o.EmptyTimeout, "empty-timeout", supervise.DefaultEmptyTimeout, "`time` in which the old copy must accept what waits in its sockets")
		fs.DurationVar(&o.CloseTimeout, "close-timeout", supervise.DefaultCloseTimeout, "`time` in which the old copy must close its sockets when told to stop")
		fs.BoolVar(&o.NoSteer, "no-steer", false, "overlap the copies and nothing more: a control, which loses connections")
		if status, done := c.parse(fs, args, 1, -1); done {
			return status
		}
		o.Command = fs.Args()
		if err := o.Check(); err != nil {
			return c.misused(err)
		}
		status, err := supervise.Run(ctx, o)
		if err != nil {
			return c.failed(err)
		}
		return status
	}
	return c
}
