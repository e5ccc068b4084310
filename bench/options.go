package bench

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Defaults of the fields of Options that are zero.
const (
	DefaultRestarts    = 10                     // of each method in each scenario
	DefaultRepetitions = 1                      // of the whole
	DefaultConns       = 32                     // clients
	DefaultPause       = 100 * time.Millisecond // between restarts
	DefaultWarmup      = 100 * time.Millisecond // before the first
	DefaultTimeout     = 5 * time.Second        // of a request
)

// Options says what to measure. The zero value, and nil, measure what
// DefaultMethods and DefaultScenarios list. A number or a duration that is zero
// means its default, a negative one is refused.
type Options struct {
	// Methods are names as MethodNames lists them, and those of Peers. Empty
	// means DefaultMethods and every peer.
	Methods []string

	// Scenarios are names as ScenarioNames lists them. Empty means
	// DefaultScenarios.
	Scenarios []string

	// Peers are servers of others, each a further method.
	Peers []Peer

	// Target, if set, is measured instead of what DefaultMethods lists.
	Target *Target

	// Repetitions of the whole, one after the other, so that what changes on
	// the machine meanwhile meets every method. What failed in one is not
	// repeated.
	Repetitions int

	// Restarts of each method in each scenario, in one repetition. Scenarios
	// that take long, or are paced, have fewer.
	Restarts int

	// Conns is the number of clients that work at the same time. Some
	// scenarios have a number of their own.
	Conns int

	// Rate is the number of requests that are due per second, over all
	// clients. Zero means a closed loop at full speed, or in a scenario that
	// is paced half of what the server answers at full speed: this module's,
	// which peers are taken to have too, or a target's or other program's own.
	Rate int

	// Warmup is the time under load whose latencies are not kept.
	Warmup time.Duration

	// Pause between the end of a restart and the next, before the first and
	// after the last. In scenarios that are paced it is as long as the restart at
	// least.
	Pause time.Duration

	// Timeout of one request, from the dial on, and the latency of one that is
	// lost.
	Timeout time.Duration

	// CloseEarly breaks handoff: the old listener is closed before it is
	// empty. What is lost then shows that the bench can see it.
	CloseEarly bool

	// Command starts a server process: the arguments of Serve are appended, and
	// it must call Serve with them. Default: this executable with "bench
	// serve".
	Command []string

	// Progress receives a line per measurement and the servers' own stderr,
	// one write at a time. Default: discarded.
	Progress io.Writer `json:"-"`

	// Step is told before each measurement how many of how many are done, and
	// what is next. It may be nil.
	Step func(done, of int, next string) `json:"-"`
}

// FullOptions are those of the full matrix: every method in every scenario, three
// restarts in each of three repetitions. What cannot run here is skipped.
func FullOptions() *Options {
	return &Options{
		Methods:     fullMethods(),
		Scenarios:   ScenarioNames(),
		Repetitions: 3,
		Restarts:    3,
		Pause:       50 * time.Millisecond,
	}
}

// withDefaults returns a checked copy with every field set.
func (o *Options) withDefaults() (*Options, error) {
	if o == nil {
		o = &Options{}
	}
	c := *o
	if c.Target != nil {
		if err := c.Target.check(); err != nil {
			return nil, err
		}
		if len(c.Methods) == 0 {
			c.Methods = []string{targetMethod}
		}
	}
	if len(c.Methods) == 0 {
		c.Methods = DefaultMethods()
		for _, p := range c.Peers {
			c.Methods = append(c.Methods, p.Name)
		}
	}
	if len(c.Scenarios) == 0 {
		c.Scenarios = DefaultScenarios()
	}
	if err := known("method", c.Methods, c.methodNames()); err != nil {
		return nil, err
	}
	if err := known("scenario", c.Scenarios, ScenarioNames()); err != nil {
		return nil, err
	}
	if c.Restarts < 0 || c.Repetitions < 0 || c.Conns < 0 || c.Rate < 0 || c.Warmup < 0 || c.Pause < 0 || c.Timeout < 0 {
		return nil, fmt.Errorf("bench: restarts, repetitions, conns, rate, warm-up, pause and timeout must not be negative")
	}
	c.Repetitions = cmp.Or(c.Repetitions, DefaultRepetitions)
	c.Restarts = cmp.Or(c.Restarts, DefaultRestarts)
	c.Conns = cmp.Or(c.Conns, DefaultConns)
	c.Warmup = cmp.Or(c.Warmup, DefaultWarmup)
	c.Pause = cmp.Or(c.Pause, DefaultPause)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	if len(c.Command) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("bench: name of this executable, which the servers are started from: %w", err)
		}
		c.Command = []string{exe, "bench", "serve"}
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	c.Progress = &lockedWriter{w: c.Progress}
	if c.Step == nil {
		c.Step = func(int, int, string) {}
	}
	return &c, nil
}

func (o *Options) methodNames() (names []string) {
	for _, m := range o.methods() {
		names = append(names, m.name)
	}
	return names
}

func known(what string, names, all []string) error {
	for _, n := range names {
		if !slices.Contains(all, n) {
			return fmt.Errorf("bench: unknown %s %q; choose from %s", what, n, strings.Join(all, ", "))
		}
	}
	return nil
}

// commandLine names every setting, so that a result file says by itself how
// to get it again.
func (o *Options) commandLine() string {
	line := fmt.Sprintf("graceport bench -methods %s -scenarios %s -repetitions %d -restarts %d -conns %d -rate %d -pause %s -warmup %s",
		strings.Join(o.Methods, ","), strings.Join(o.Scenarios, ","), o.Repetitions, o.Restarts, o.Conns, o.Rate, o.Pause, o.Warmup)
	for _, p := range o.Peers {
		line += fmt.Sprintf(" -peer %s=%s", p.Name, strings.Join(p.Command, " "))
	}
	if t := o.Target; t != nil {
		line += fmt.Sprintf(" -target %q -restart %q -addr %s", t.Start, t.Restart, t.Addr)
		for _, f := range []struct{ flag, value string }{
			{"stop", t.Stop}, {"path", t.Path}, {"generation-header", t.GenerationHeader},
		} {
			if f.value != "" {
				line += fmt.Sprintf(" -%s %q", f.flag, f.value)
			}
		}
	}
	if o.CloseEarly {
		line += " -close-early"
	}
	return line
}
