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
	DefaultRestarts = 10
	DefaultConns    = 32
	DefaultPause    = 100 * time.Millisecond
	DefaultTimeout  = 5 * time.Second
)

// Options says what to measure. The zero value measures every method in every
// scenario.
type Options struct {
	// Methods and Scenarios are names as MethodNames and ScenarioNames list
	// them. Empty means all.
	Methods   []string
	Scenarios []string

	// Restarts of each method in each scenario.
	Restarts int

	// Conns is the number of clients that work at the same time.
	Conns int

	// Rate is the number of requests that are due per second, over all
	// clients. Zero means a closed loop at full speed.
	Rate int

	// Pause between the end of a restart and the next.
	Pause time.Duration

	// Timeout of one request, from the dial on.
	Timeout time.Duration

	// Command starts a server process: the arguments of Serve are appended.
	// Default: this executable with "bench serve".
	Command []string

	// Progress receives a line per measurement and the servers' own stderr,
	// one write at a time. Default: discarded.
	Progress io.Writer `json:"-"`
}

// withDefaults returns a checked copy with every field set.
func (o *Options) withDefaults() (*Options, error) {
	if o == nil {
		o = &Options{}
	}
	c := *o
	if len(c.Methods) == 0 {
		c.Methods = MethodNames()
	}
	if len(c.Scenarios) == 0 {
		c.Scenarios = ScenarioNames()
	}
	if err := known("method", c.Methods, MethodNames()); err != nil {
		return nil, err
	}
	if err := known("scenario", c.Scenarios, ScenarioNames()); err != nil {
		return nil, err
	}
	if c.Restarts < 0 || c.Conns < 0 || c.Rate < 0 || c.Pause < 0 || c.Timeout < 0 {
		return nil, fmt.Errorf("bench: restarts, conns, rate, pause and timeout must not be negative")
	}
	c.Restarts = cmp.Or(c.Restarts, DefaultRestarts)
	c.Conns = cmp.Or(c.Conns, DefaultConns)
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
	return &c, nil
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
	return fmt.Sprintf("graceport bench -methods %s -scenarios %s -restarts %d -conns %d -rate %d -pause %s",
		strings.Join(o.Methods, ","), strings.Join(o.Scenarios, ","), o.Restarts, o.Conns, o.Rate, o.Pause)
}
