package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/handoff"
)

func statusCommand() *command {
	c := &command{
		name:    "status",
		summary: "show the generations of a service",
		usage:   "[-json] [-watch] DIR",
		help: `Show every living generation of the service whose control directory is DIR, the
newest first: its state, what it listens on, what waits in its accept queues,
its connections by state, and how long it may still drain. A * marks the
leader. A generation that is "silent" has a socket but does not answer. Of one
that drains, the ten oldest connections and the slowest follow, with their last
requests.
With -watch the lines are cut to 80 columns.

Examples:
  graceport status /run/hello
  graceport status -json /run/hello | jq '.[0].pid'
  graceport status -watch /run/hello`,
	}
	c.run = func(ctx context.Context, args []string) int {
		fs := c.flags()
		asJSON := fs.Bool("json", false, "print JSON: an array, the newest generation first")
		watch := fs.Bool("watch", false, "redraw every second until interrupted")
		if status, done := c.parse(fs, args, 1, 1); done {
			return status
		}
		service, err := handoff.NewService(fs.Arg(0))
		if err != nil {
			return c.failed(err)
		}
		for {
			err := printStatus(ctx, os.Stdout, service, *asJSON, *watch)
			if !*watch {
				if err != nil {
					return c.failed(err)
				}
				return exitOK
			}
			if err != nil {
				fmt.Println(err)
			}
			time.Sleep(time.Second)
		}
	}
	return c
}

// clearScreen moves the cursor home and erases, ECMA-48.
const clearScreen = "\x1b[H\x1b[2J"

func printStatus(ctx context.Context, w io.Writer, service *handoff.Service, asJSON, redraw bool) error {
	all, err := service.Status(ctx)
	if redraw {
		fmt.Fprint(w, clearScreen)
	}
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	var table strings.Builder
	if err := statusTable(&table, all, time.Now()); err != nil {
		return err
	}
	text := table.String()
	if redraw {
		text = cut(text)
	}
	_, err = io.WriteString(w, text)
	return err
}

// columns is the width of a terminal that one can rely on.
const columns = 80

// cut shortens long lines.
func cut(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if r := []rune(strings.TrimSuffix(line, "\n")); len(r) > columns {
			line = string(r[:columns-1]) + "…\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

func statusTable(w io.Writer, all []handoff.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GEN\tPID\tVERSION\tSTATE\tAGE\tQUEUE\tCONNECTIONS\tDEADLINE")
	for _, st := range all {
		mark := ""
		if st.Leader {
			mark = "*"
		}
		connections, deadline := connectionColumns(st, now)
		fmt.Fprintf(t, "%d%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", st.Generation, mark, st.PID, or(st.Version, "-"), state(st),
			age(st.Started, now), queue(st), connections, deadline)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, st := range all {
		if len(st.Listeners) > 0 {
			fmt.Fprintf(w, "generation %d: listens on %s\n", st.Generation, listeners(st))
		}
		if st.Error != "" {
			fmt.Fprintf(w, "generation %d: %s\n", st.Generation, st.Error)
		}
		for _, left := range st.Left {
			fmt.Fprintf(w, "generation %d: %s was closed with %d connections in its queue and %d half-open\n",
				st.Generation, left.Listener, left.Queued, left.HalfOpen)
		}
		if s, ok := snapshot(st); ok && s.Draining {
			shown := map[string]bool{}
			for _, c := range slices.Concat(s.Oldest, s.Slowest) {
				// Clients of a Unix socket have no address to tell them by.
				key := c.Remote + " " + c.Listener + " " + c.Accepted.String()
				if !shown[key] {
					fmt.Fprintf(w, "generation %d: %s\n", st.Generation, connection(c, now))
				}
				shown[key] = true
			}
		}
	}
	return nil
}

// connection tells who is left, since when, doing what.
func connection(c drain.ConnInfo, now time.Time) string {
	s := fmt.Sprintf("%s %s for %.1f s", c.Remote, c.State, c.Seconds)
	if c.Request != "" {
		s += ", " + c.Request
	}
	s += fmt.Sprintf(", accepted %s ago, %d B in, %d B out, idle %.1f s", age(c.Accepted, now), c.BytesIn, c.BytesOut, c.IdleSeconds)
	if c.Listener != "" {
		s += ", on " + c.Listener
	}
	return s
}

func state(st handoff.Status) string {
	if st.Share > 0 {
		return fmt.Sprintf("%s (%s%% new)", st.State, strconv.FormatFloat(float64(st.Share)/100, 'f', -1, 64))
	}
	return st.State
}

func listeners(st handoff.Status) string {
	var out []string
	for _, l := range st.Listeners {
		s := l.Address
		if !strings.HasPrefix(l.Network, "tcp") {
			s = l.Network + " " + s
		}
		if n := len(l.Queues); n != 1 {
			s += fmt.Sprintf(" (%d sockets)", n)
		}
		out = append(out, s)
	}
	return or(strings.Join(out, ", "), "-")
}

func queue(st handoff.Status) string {
	length, limit := 0, 0
	for _, l := range st.Listeners {
		for _, q := range l.Queues {
			length, limit = length+q.Len, limit+q.Limit
		}
	}
	if limit == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", length, limit)
}

// snapshot is what a service that uses package drain tells of its connections.
func snapshot(st handoff.Status) (s drain.Snapshot, ok bool) {
	return s, st.Connections != nil && json.Unmarshal(st.Connections, &s) == nil
}

func connectionColumns(st handoff.Status, now time.Time) (connections, deadline string) {
	s, ok := snapshot(st)
	if !ok {
		return "-", "-"
	}
	var parts []string
	for _, x := range []struct {
		n    int
		name string
	}{{s.Open.New, "new"}, {s.Open.Active, "active"}, {s.Open.Idle, "idle"}, {s.Open.Hijacked, "hijacked"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.name))
		}
	}
	deadline = "-"
	if s.Draining {
		deadline = "in " + s.Deadline.Sub(now).Round(time.Second).String()
	}
	return or(strings.Join(parts, ", "), "0"), deadline
}

func age(since, now time.Time) string {
	if since.IsZero() {
		return "-"
	}
	return now.Sub(since).Round(time.Second).String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
