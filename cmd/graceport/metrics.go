package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/graceport/graceport/handoff"
	"github.com/graceport/graceport/handoff/handoffprom"
	"github.com/prometheus/common/expfmt"
)

func metricsCommand() *command {
	c := &command{
		name:    "metrics",
		summary: "print the metrics of all generations of a service",
		usage:   "[-timeout TIME] DIR",
		help: `Print the metrics of every living generation of the service whose control
directory is DIR, in Prometheus' text format, with the label generation. Those
that have ended are summed up as generation="ended", if the service keeps them
(package handoffprom). A generation that does not answer has the state "silent".
Nothing is changed.

Example:
  graceport metrics /run/hello | grep accepted_total`,
	}
	c.run = func(_ context.Context, args []string) int {
		fs := c.flags()
		timeout := fs.Duration("timeout", 2*time.Second, "how long to wait for the generations")
		if status, done := c.parse(fs, args, 1, 1); done {
			return status
		}
		if *timeout <= 0 {
			return c.misused(fmt.Errorf("-timeout %v is not a time to wait", *timeout))
		}
		dir := fs.Arg(0)
		all, err := handoffprom.NewGatherer(dir, &handoffprom.Options{
			Timeout: *timeout, ReadOnly: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		}).Gather()
		if err == nil && len(all) == 0 {
			err = fmt.Errorf("%s: %w, or none that shows metrics", dir, handoff.ErrNoService)
		}
		if err != nil {
			return c.failed(err)
		}
		out := bufio.NewWriter(os.Stdout)
		for _, f := range all {
			if _, err := expfmt.MetricFamilyToText(out, f); err != nil {
				return c.failed(err)
			}
		}
		if err := out.Flush(); err != nil {
			return c.failed(err)
		}
		return exitOK
	}
	return c
}
