package main

import (
	"context"
	"errors"

	"github.com/graceport/graceport/handoff"
)

func shareCommand() *command {
	c := &command{
		name:    "share",
		summary: "move the share of new connections that a successor receives",
		usage:   "DIR PERCENT",
		help: `Set the share of new connections for a successor that is sharing, from now on
and until it is moved again. Whatever is left of its plan no longer runs by
itself; 100% still leaves the old generation's sockets open. It takes effect
with one system call for each address.

Example:
  graceport share /run/hello 25%`,
	}
	c.run = func(ctx context.Context, args []string) int {
		fs := c.flags()
		if status, done := c.parse(fs, args, 2, 2); done {
			return status
		}
		share, err := handoff.ParseShare(fs.Arg(1))
		if err != nil {
			return c.misused(err)
		}
		return c.operate(fs.Arg(0), func(s *handoff.Service) error { return s.Share(ctx, share) })
	}
	return c
}

func rollbackCommand() *command {
	c := &command{
		name:    "rollback",
		summary: "give everything back to the old generation",
		usage:   "DIR",
		help: `While a successor shares or is in probation, give all new connections back to
the old generation. The successor drains and ends.

Example:
  graceport rollback /run/hello`,
	}
	c.run = func(ctx context.Context, args []string) int {
		fs := c.flags()
		if status, done := c.parse(fs, args, 1, 1); done {
			return status
		}
		return c.operate(fs.Arg(0), func(s *handoff.Service) error { return s.Rollback(ctx) })
	}
	return c
}

func stopCommand() *command {
	c := &command{
		name:    "stop",
		summary: "have a generation drain and end",
		usage:   "[-generation N] [-now] DIR",
		help: `Stop the leading generation, or the one that -generation names: it closes its
sockets when nothing waits in them, lets its connections finish, and ends. With
-now it does not wait for them.

Examples:
  graceport stop /run/hello
  graceport stop -generation 7 -now /run/hello`,
	}
	c.run = func(ctx context.Context, args []string) int {
		fs := c.flags()
		generation := fs.Int("generation", 0, "`number` of the generation, as status shows it; 0 means the leader")
		now := fs.Bool("now", false, "do not wait for connections")
		if status, done := c.parse(fs, args, 1, 1); done {
			return status
		}
		if *generation < 0 {
			return c.misused(errors.New("-generation is negative"))
		}
		return c.operate(fs.Arg(0), func(s *handoff.Service) error { return s.Stop(ctx, *generation, *now) })
	}
	return c
}

// operate does something with the service of a control directory.
func (c *command) operate(dir string, do func(*handoff.Service) error) int {
	service, err := handoff.NewService(dir)
	if err == nil {
		err = do(service)
	}
	if err != nil {
		return c.failed(err)
	}
	return exitOK
}
