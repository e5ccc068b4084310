package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// Run measures what o asks for, one method and scenario after the other. The
// report holds what failed or was lost in them, see Report.Err; Run itself
// fails when nothing sensible can be measured, or when ctx ends, and then
// returns the results so far. In every case the processes that it started are
// gone when it returns.
//
// While it runs, the calling process adopts its orphaned descendants
// (PR_SET_CHILD_SUBREAPER), and collects its garbage seldom (debug.SetGCPercent),
// because a client that pauses takes the server for slow. Calls must not overlap:
// the check for leftovers counts what the whole process holds.
//
// The error matches [ErrClient] if the clients could not keep up the load, and
// the context.Cause of ctx. On systems other than Linux it matches
// errors.ErrUnsupported.
func Run(ctx context.Context, o *Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return run(ctx, o, o.methods(), false)
}

// clientGCPercent makes the clients collect garbage an eighth as often, which was
// 24 times a second at full speed. They keep little alive: it takes some 30 MB more.
const clientGCPercent = 800

// run is Run over a table of methods. inNamespace says that this process is
// already in a network namespace made for the one method in the one scenario
// that it is to measure.
func run(ctx context.Context, o *Options, all []*method, inNamespace bool) (*Report, error) {
	release, err := adoptOrphans()
	if err != nil {
		return nil, err
	}
	defer release()

	defer debug.SetGCPercent(debug.SetGCPercent(clientGCPercent))
	r := &Report{Command: o.commandLine(), Machine: thisMachine()}
	b := &batch{Options: o, report: r, inNamespace: inNamespace, rates: map[string]int{}}
	b.plan(ctx, all)
	for done, c := range b.cells {
		if c.skip {
			continue
		}
		o.Step(done, len(b.cells), c.method.name+" "+c.scenario.name)
		if err := b.measure(ctx, c); err != nil {
			if ctx.Err() != nil {
				r.Interrupted = fmt.Sprintf("stopped in %s %s: %v", c.method.name, c.scenario.name, context.Cause(ctx))
			}
			return r, err
		}
	}
	o.Step(len(b.cells), len(b.cells), "")
	return r, nil
}

// A batch is what one run measures, in order.
type batch struct {
	*Options
	report      *Report
	inNamespace bool
	cells       []*cell
	rates       map[string]int // of open loops, by scenario and server
}

// A cell is one method in one scenario, in one repetition.
type cell struct {
	method   *method
	scenario *scenario
	skip     bool
}

// plan interleaves: each repetition is the whole matrix, and within a
// scenario the methods follow each other.
func (b *batch) plan(ctx context.Context, all []*method) {
	unfit := map[*method]error{}
	for _, name := range b.Methods {
		m := find(all, name, (*method).id)
		if m.needs == nil {
			continue
		}
		if err := m.needs(ctx); err != nil {
			unfit[m] = err
			b.skip(m.name, "", err)
		}
	}
	for rep := range b.Repetitions {
		for _, name := range b.Scenarios {
			s := find(scenarios(), name, (*scenario).id)
			for _, name := range b.Methods {
				m := find(all, name, (*method).id)
				if unfit[m] != nil {
					continue
				}
				if why := m.lacks(s); why != "" {
					if rep == 0 {
						b.skip(m.name, s.name, errors.New(why))
					}
					continue
				}
				b.noteVersion(ctx, m.version)
				b.cells = append(b.cells, &cell{method: m, scenario: s})
			}
		}
	}
}

func (b *batch) noteVersion(ctx context.Context, program string) {
	known := &b.report.Machine.Versions
	if _, ok := (*known)[program]; ok || program == "" {
		return
	}
	if *known == nil {
		*known = map[string]string{}
	}
	(*known)[program] = version(ctx, program)
}

func (b *batch) skip(method, scenario string, why error) {
	b.report.Skipped = append(b.report.Skipped, Skip{Method: method, Scenario: scenario, Reason: why.Error()})
	fmt.Fprintf(b.Progress, "%s %s: skipped: %v\n", method, scenario, why)
}

// measure adds a repetition to the result of its method and scenario.
func (b *batch) measure(ctx context.Context, c *cell) error {
	o, m, err := b.optionsFor(ctx, c)
	if err != nil {
		return err
	}
	if m == nil {
		m, err = b.once(ctx, o, c)
	}
	var skip *skipError
	if errors.As(err, &skip) {
		b.skip(c.method.name, c.scenario.name, skip)
		b.leaveOut(c)
		return nil
	}
	if err != nil {
		return err
	}
	res := b.report.result(c.method.name, c.scenario.name)
	res.Rate, res.Peer = o.Rate, c.method.command != nil
	res.add(m)
	if len(m.Errors) > 0 {
		b.leaveOut(c) // more of it would say the same, and take longest
	}
	return res.clientError()
}

// leaveOut skips the further repetitions of c.
func (b *batch) leaveOut(c *cell) {
	for _, other := range b.cells {
		other.skip = other.skip || other.method == c.method && other.scenario.name == c.scenario.name
	}
}

// once measures, in a namespace of its own where one is needed.
func (b *batch) once(ctx context.Context, o *Options, c *cell) (*Measurement, error) {
	if c.method.prepare == nil && c.scenario.prepare == nil {
		return measure(ctx, o, c.method, c.scenario)
	}
	if !b.inNamespace {
		return measureInNamespace(ctx, o, c)
	}
	for _, prepare := range []func() error{c.method.prepare, c.scenario.prepare} {
		if prepare == nil {
			continue
		}
		if err := prepare(); err != nil {
			return nil, &skipError{err}
		}
	}
	return measure(ctx, o, c.method, c.scenario)
}

// optionsFor are the options as the scenario bends them. If the rate cannot be
// found out, the measurement says why.
func (b *batch) optionsFor(ctx context.Context, c *cell) (*Options, *Measurement, error) {
	o := *b.Options
	if c.scenario.restarts > 0 {
		o.Restarts = min(o.Restarts, c.scenario.restarts)
	}
	if !c.scenario.paced || o.Rate > 0 {
		return &o, nil, nil
	}
	// The servers of this module and of peers are the same but for their way of
	// restarting, so one rate is for all.
	server := find(methods(), "stop-start", (*method).id)
	if c.method.program {
		server = c.method
	}
	key := server.name + " " + c.scenario.name
	if b.rates[key] == 0 {
		most, failed, err := saturation(ctx, &o, server, c.scenario)
		if err != nil || failed != nil {
			return &o, failed, err
		}
		b.rates[key] = max(1, most/2)
	}
	o.Rate = b.rates[key]
	return &o, nil, nil
}

// The clients go at full speed for saturationTime to find out what is half of it,
// at the server started anew each time: how connections happen to be distributed
// over the workers of one makes a difference.
const (
	saturationTime  = 500 * time.Millisecond
	saturationTimes = 3
)

// saturation is the median of how many requests a second the server answers
// without restarts, or the measurement that failed.
func saturation(ctx context.Context, o *Options, server *method, s *scenario) (most int, failed *Measurement, err error) {
	quiet := *o
	quiet.Restarts, quiet.Warmup, quiet.Pause = 0, 0, saturationTime
	var rates []int
	for range saturationTimes {
		m, err := measure(ctx, &quiet, server, s)
		if err != nil {
			return 0, nil, err
		}
		if len(m.Errors) > 0 {
			return 0, m, nil
		}
		rates = append(rates, int(float64(m.Requests)/saturationTime.Seconds()))
	}
	slices.Sort(rates)
	fmt.Fprintf(o.Progress, "%s %s: %d requests/s at full speed\n", server.name, s.name, rates)
	return rates[saturationTimes/2], nil, nil
}

// result finds or makes the result of a method in a scenario.
func (r *Report) result(method, scenario string) *Result {
	for _, res := range r.Results {
		if res.Method == method && res.Scenario == scenario {
			return res
		}
	}
	res := &Result{Method: method, Scenario: scenario, Measurement: Measurement{LostBy: map[string]int{}}}
	r.Results = append(r.Results, res)
	return res
}

// ErrClient is matched when the client side failed too often for the numbers
// to say anything about the servers: in more than one of a thousand requests.
var ErrClient = errors.New("the client side ran out of ports or descriptors")

// clientError is fatal above one in a thousand.
func (res *Result) clientError() error {
	failed := 0
	for _, n := range res.ClientFailures {
		failed += n
	}
	if failed*1000 <= res.Requests+failed {
		return nil
	}
	return fmt.Errorf("bench: %s %s: %w %d times in %d requests; widen net.ipv4.ip_local_port_range, raise ulimit -n, or use -rate",
		res.Method, res.Scenario, ErrClient, failed, res.Requests+failed)
}

// A skipError says why a method cannot run on this machine.
type skipError struct{ reason error }

func (e *skipError) Error() string { return e.reason.Error() }
func (e *skipError) Unwrap() error { return e.reason }
