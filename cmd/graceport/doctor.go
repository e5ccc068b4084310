package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/graceport/graceport/reuseport"
)

func doctorCommand() *command {
	c := &command{
		name:    "doctor",
		summary: "tell what this system can do, and what to change",
		usage:   "[-json]",
		help: `Try, on sockets that are thrown away, how connections can be steered here, and
tell what to do about each finding. Run it as the user, and in the container or
unit, that the service runs in: the answer depends on its privileges.

Example:
  graceport doctor`,
	}
	c.run = func(ctx context.Context, args []string) int {
		fs := c.flags()
		asJSON := fs.Bool("json", false, "print JSON")
		if status, done := c.parse(fs, args, 0, 0); done {
			return status
		}
		report, err := reuseport.Probe(ctx)
		if err != nil {
			return c.failed(err)
		}
		if *asJSON {
			e := json.NewEncoder(os.Stdout)
			e.SetIndent("", "  ")
			if err := e.Encode(report); err != nil {
				return c.failed(err)
			}
			return exitOK
		}
		printReport(os.Stdout, report)
		return exitOK
	}
	return c
}

// strategyText is what a strategy means for an operator.
var strategyText = map[reuseport.Strategy]string{
	reuseport.EBPF:    "a program in the kernel decides who receives each new connection; no loss, on every kernel",
	reuseport.CBPF:    "a program in the kernel decides who receives each new connection; no loss",
	reuseport.Migrate: "the kernel moves waiting connections when a listener closes; no dark start, no share, no rollback",
	reuseport.None:    "listeners are read until they are empty, and closed; a race remains, and is counted",
}

func printReport(w io.Writer, r *reuseport.Report) {
	fmt.Fprintf(w, "kernel           %s\n", r.Kernel)
	fmt.Fprintf(w, "strategy         %s: %s\n", r.Strategy, strategyText[r.Strategy])
	for _, x := range r.Unavailable {
		fmt.Fprintf(w, "  not %-10s %s\n", x.Strategy, x.Why)
	}
	fmt.Fprintf(w, "net.core.somaxconn         %d\n", r.Somaxconn)
	fmt.Fprintf(w, "net.ipv4.tcp_migrate_req   %v\n", r.TCPMigrateReq)
	fmt.Fprintf(w, "Multipath TCP by default   %v\n", r.MPTCPDefault)
	if len(r.Hints) == 0 {
		fmt.Fprintln(w, "\nNothing to change.")
	}
	for _, h := range r.Hints {
		fmt.Fprintf(w, "\n%s\n  %s\n  To do: %s\n", h.ID, h.Text, h.Do)
	}
}
