package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/graceport/graceport/bench"
)

func benchCommand() *command {
	c := &command{
		name:    "bench",
		summary: "measure what clients notice of a restart, by several methods",
		usage:   "[flags]\n       graceport bench compare OLD.json NEW.json\n       graceport bench serve METHOD [-addr HOST:PORT] [-dir DIR]",
		help: `Restart a small HTTP service under load, by each method in each scenario, and
count what the clients lost. Nothing has to be prepared. Progress goes to
stderr, the table to stdout. The exit status is 1 if handoff lost anything, if
a restart failed, or if anything was left over. An interrupted run prints what
it has.

Without flags that takes half a minute: the methods ` + strings.Join(bench.DefaultMethods(), ", ") + `
in the scenarios ` + strings.Join(bench.DefaultScenarios(), ", ") + `. With -full it is every
method that can run here in every scenario, three times, in ten minutes; -list
says what they are and what to install for those that cannot.

With -target it is your own service that is started, loaded and restarted, in
any language. Without -generation-header whoever answers after the command to
restart has ended counts as the new generation.

"bench serve METHOD" runs one server by hand. It prints a ready line with its
pid. HUP replaces it (fd-inherit, handoff), USR2 starts a second one that
serves beside it (fd-inherit); INT, QUIT and TERM end it within 5 s.

Examples:
  graceport bench
  graceport bench -full -o report
  go build -o peers/ ./bench/peers/... && graceport bench -full -peers peers
  graceport bench -target "nginx -g 'daemon off;'" -restart 'nginx -s reload' -addr 127.0.0.1:80
  graceport bench -methods fd-inherit,handoff -restarts 50 -repetitions 3
  graceport bench -methods handoff -scenarios short -rate 2000
  graceport bench serve fd-inherit -addr :8080`,
	}
	c.run = func(ctx context.Context, args []string) int {
		if len(args) > 0 && args[0] == "serve" {
			return serveBench(ctx, c, args[1:])
		}
		if len(args) > 0 && args[0] == "compare" {
			return compareBench(args[1:])
		}
		return runBench(ctx, c, args)
	}
	return c
}

// benchFlags are the flags as they were given: with -full they change what
// that means.
type benchFlags struct {
	bench.Options
	own        targetFlags
	full, list bool
	json, dir  string
}

func (f *benchFlags) define(fs *flag.FlagSet) {
	listVar(fs, &f.Methods, "methods", "comma-separated `list` of methods (see -list)")
	listVar(fs, &f.Scenarios, "scenarios", "comma-separated `list` of scenarios (see -list)")
	fs.Func("peer", "also measure a server of others, as `NAME=COMMAND`; may be given again", func(s string) error {
		p, err := bench.ParsePeer(s)
		f.Peers = append(f.Peers, p)
		return err
	})
	fs.Func("peers", "also measure every executable in `directory`, such as those of bench/peers", func(dir string) error {
		peers, err := bench.PeersIn(dir)
		f.Peers = append(f.Peers, peers...)
		return err
	})
	fs.IntVar(&f.Restarts, "restarts", bench.DefaultRestarts, "restarts per method, scenario and repetition")
	fs.IntVar(&f.Repetitions, "repetitions", bench.DefaultRepetitions, "repetitions of the whole, interleaved")
	fs.IntVar(&f.Conns, "conns", bench.DefaultConns, "clients at work at the same time")
	fs.IntVar(&f.Rate, "rate", 0, "requests due per second, over all clients; 0 is a closed loop at full speed")
	fs.DurationVar(&f.Pause, "pause", bench.DefaultPause, "time between restarts")
	fs.DurationVar(&f.Warmup, "warmup", bench.DefaultWarmup, "time under load before anything is measured")
	fs.BoolVar(&f.full, "full", false, "every method in every scenario, three times (ten minutes)")
	fs.BoolVar(&f.list, "list", false, "list methods and scenarios, and what cannot run here, and exit")
	fs.StringVar(&f.json, "json", "", "also write the report to `file`")
	fs.StringVar(&f.dir, "o", "", "also write report.html, result.json and latency.hgrm to `directory`")
	f.own.define(fs)
}

func (f *benchFlags) check() error {
	if f.Restarts < 1 || f.Repetitions < 1 || f.Conns < 1 || f.Rate < 0 || f.Pause <= 0 || f.Warmup <= 0 {
		return errors.New("-restarts, -repetitions, -conns, -pause and -warmup must be more than 0, -rate not less")
	}
	return nil
}

// options are those of -full, but for the flags that were given.
func (f *benchFlags) options(fs *flag.FlagSet) *bench.Options {
	o := f.Options
	if !f.full {
		return &o
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	full := bench.FullOptions()
	if o.Target != nil {
		full.Methods, full.Scenarios = nil, nil // its own
	}
	for _, p := range o.Peers {
		full.Methods = append(full.Methods, p.Name)
	}
	if !given["methods"] {
		o.Methods = full.Methods
	}
	if !given["scenarios"] {
		o.Scenarios = full.Scenarios
	}
	if !given["restarts"] {
		o.Restarts = full.Restarts
	}
	if !given["repetitions"] {
		o.Repetitions = full.Repetitions
	}
	if !given["pause"] {
		o.Pause = full.Pause
	}
	return &o
}

func runBench(ctx context.Context, c *command, args []string) int {
	var f benchFlags
	fs := c.flags()
	f.define(fs)
	// Not among the flags that -h shows: it makes the bench fail, so that one
	// can see that it does.
	n := len(args)
	args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "-close-early" })
	f.CloseEarly = len(args) < n
	if status, done := c.parse(fs, args, 0, 0); done {
		return status
	}
	if err := f.check(); err != nil {
		return c.misused(err)
	}
	var err error
	if f.Target, err = f.own.target(); err != nil {
		return c.misused(err)
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if f.list {
		if err := bench.List(ctx, os.Stdout, &f.Options); err != nil {
			return c.failed(err)
		}
		return exitOK
	}
	o := f.options(fs)
	bar := newProgress(os.Stderr)
	o.Progress, o.Step = bar, bar.step
	report, runErr := bench.Run(ctx, o)
	bar.end()
	var errs []error
	if report != nil && len(report.Results)+len(report.Skipped) > 0 {
		errs = append(errs, report.Table(os.Stdout), f.write(report), report.Err())
	}
	if err := errors.Join(append(errs, runErr)...); err != nil {
		return c.failed(err)
	}
	return exitOK
}

// write writes the files that were asked for.
func (f *benchFlags) write(r *bench.Report) error {
	var errs []error
	if f.json != "" {
		errs = append(errs, writeFile(f.json, r.WriteJSON))
	}
	if f.dir != "" {
		errs = append(errs, r.WriteDir(f.dir))
	}
	return errors.Join(errs...)
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
