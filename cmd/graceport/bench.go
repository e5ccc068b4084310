package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/graceport/graceport/bench"
)

func benchCommand() *command {
	c := &command{
		name:    "bench",
		summary: "measure what clients notice of a restart, by several methods",
		usage:   "[flags]\n       graceport bench serve METHOD [-addr HOST:PORT] [-dir DIR]",
		help: `Restart a small HTTP service under load, by each method in each scenario, and
count what the clients lost. Nothing has to be prepared. Progress goes to
stderr, the table to stdout. The exit status is 1 if handoff lost anything, if
a restart failed, or if anything was left over.

Methods:   ` + strings.Join(bench.MethodNames(), ", ") + `
Scenarios: ` + strings.Join(bench.ScenarioNames(), ", ") + `

"bench serve METHOD" runs one server by hand. It prints a ready line with its
pid. HUP replaces it (fd-inherit, handoff), USR2 starts a second one that
serves beside it (fd-inherit); INT, QUIT and TERM end it within 5 s.

Examples:
  graceport bench
  graceport bench -methods fd-inherit,handoff -restarts 50 -json result.json
  graceport bench -methods handoff -scenarios short -rate 2000
  graceport bench serve fd-inherit -addr :8080`,
	}
	c.run = func(ctx context.Context, args []string) int {
		if len(args) > 0 && args[0] == "serve" {
			return serveBench(ctx, c, args[1:])
		}
		return runBench(ctx, c, args)
	}
	return c
}

func runBench(ctx context.Context, c *command, args []string) int {
	o := &bench.Options{Progress: os.Stderr}
	fs := c.flags()
	listVar(fs, &o.Methods, "methods", "comma-separated `list` of methods (default all)")
	listVar(fs, &o.Scenarios, "scenarios", "comma-separated `list` of scenarios (default all)")
	fs.IntVar(&o.Restarts, "restarts", bench.DefaultRestarts, "restarts per method and scenario")
	fs.IntVar(&o.Conns, "conns", bench.DefaultConns, "clients at work at the same time")
	fs.IntVar(&o.Rate, "rate", 0, "requests due per second, over all clients; 0 is a closed loop at full speed")
	fs.DurationVar(&o.Pause, "pause", bench.DefaultPause, "time between restarts")
	file := fs.String("json", "", "also write the report to `file`")
	if status, done := c.parse(fs, args, 0, 0); done {
		return status
	}
	if o.Restarts < 1 || o.Conns < 1 || o.Rate < 0 || o.Pause <= 0 {
		return c.misused(errors.New("-restarts, -conns and -pause must be more than 0, -rate not less"))
	}

	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	report, err := bench.Run(ctx, o)
	if report != nil && len(report.Results)+len(report.Skipped) > 0 {
		if err := report.Table(os.Stdout); err != nil {
			return c.failed(err)
		}
	}
	if err != nil {
		return c.failed(err)
	}
	if *file != "" {
		if err := writeReport(*file, report); err != nil {
			return c.failed(err)
		}
	}
	if err := report.Err(); err != nil {
		return c.failed(err)
	}
	return exitOK
}

// serveBench is a server process of the bench.
func serveBench(ctx context.Context, c *command, args []string) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if status, done := c.parse(c.flags(), args, 0, 0); done {
			return status
		}
		return c.misused(errors.New("serve by which method? " + strings.Join(bench.MethodNames(), ", ")))
	}
	err := bench.Serve(ctx, args...)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK // printed already
	}
	if err != nil {
		return c.failed(err)
	}
	return exitOK
}

func writeReport(name string, r *bench.Report) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("result file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return r.WriteJSON(file)
}

// listVar defines a flag of names separated by commas.
func listVar(fs *flag.FlagSet, p *[]string, name, usage string) {
	fs.Func(name, usage, func(value string) error {
		*p = nil
		for v := range strings.SplitSeq(value, ",") {
			if v = strings.TrimSpace(v); v != "" {
				*p = append(*p, v)
			}
		}
		return nil
	})
}
