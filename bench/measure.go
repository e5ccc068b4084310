package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// restartTimeout bounds one restart: the successor ready, its first answer,
	// and the end of the old process; and the end of the last. It takes the servers
	// here seven seconds at the most (slow-start and shutdownTimeout), and those of
	// others may fail all the time without delaying the rest for long.
	restartTimeout = 10 * time.Second

	// targetTimeout is for services that we know nothing of.
	targetTimeout = 30 * time.Second
)

// bound bounds one step of the driver.
func (f *fleet) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	d := cmp.Or(f.scenario.patience, restartTimeout)
	if f.method.name == targetMethod {
		d = max(d, targetTimeout)
	}
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("gave up after %s", d))
}

// measure runs one method in one scenario, once. What goes wrong with the
// method is in the measurement; the error is for ctx and for what is wrong
// with the bench.
func measure(ctx context.Context, o *Options, m *method, s *scenario) (*Measurement, error) {
	began := time.Now()
	before := takeInventory()
	f, err := newFleet(o, m, s)
	if err != nil {
		return nil, err
	}
	res := &Measurement{LostBy: map[string]int{}}
	failed := res.exercise(ctx, o, f, s)
	res.addError(failed)
	killed := f.close()
	if failed == nil { // or nobody has told them to end
		for _, pid := range killed {
			res.addError(fmt.Errorf("pid %d was left over and had to be killed", pid))
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("bench: stopped in %s %s: %w", m.name, s.name, context.Cause(ctx))
	}
	if res.Requests > 0 && m.name != targetMethod { // whose processes are not all ours to count
		res.CPUPerRequest = float64(f.cpu().Microseconds()) / float64(res.Requests)
	}
	for _, what := range before.leftovers(ctx) {
		res.addError(fmt.Errorf("left over: %s", what))
	}
	fmt.Fprintf(o.Progress, "%s %s: %d restarts, lost %d of %d requests (%.1fs)\n",
		m.name, s.name, res.Restarts, res.Lost, res.Requests, time.Since(began).Seconds())
	for _, e := range res.Errors {
		fmt.Fprintf(o.Progress, "%s %s: error: %s\n", m.name, s.name, e)
	}
	return res, nil
}

// exercise starts the service, loads it, restarts it and stops it.
func (res *Measurement) exercise(ctx context.Context, o *Options, f *fleet, s *scenario) error {
	startCtx, cancel := f.bound(ctx)
	defer cancel()
	leader, err := f.start(startCtx)
	if err != nil {
		return err
	}
	// However this ends, the clients have let go before the servers are killed.
	loadCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := startLoad(loadCtx, s, f.target, o)
	times, err := res.restarts(ctx, o, f, l, &leader)
	if err != nil {
		cancel()
	}
	l.finish()
	l.fill(res)
	if s.path == upgradePath {
		res.Crowd = l.moments.crowd(100 * time.Millisecond)
	}
	res.Restart = summarize(times)
	if err != nil {
		return err
	}
	stopCtx, cancel := f.bound(ctx)
	defer cancel()
	return f.stop(stopCtx, leader)
}

// restarts replaces leader again and again and returns how long each took.
func (res *Measurement) restarts(ctx context.Context, o *Options, f *fleet, l *load, leader **process) ([]time.Duration, error) {
	var times []time.Duration
	if !wait(ctx, o.Warmup, nil) {
		return nil, context.Cause(ctx)
	}
	l.warmedUp()
	if !wait(ctx, o.Pause, nil) {
		return nil, context.Cause(ctx)
	}
	once := restartOnce
	if f.scenario.failing != "" {
		once = failOnce
	}
	for i := range o.Restarts {
		l.openWindow()
		opened := time.Now()
		took, next, err := once(ctx, f, l, *leader)
		if err == nil {
			wait(ctx, f.scenario.window-time.Since(opened), nil)
		}
		l.closeWindow()
		if err != nil {
			return times, fmt.Errorf("restart %d: %w", i+1, err)
		}
		*leader = next
		res.Restarts++
		times = append(times, took)
		pause := o.Pause
		if f.scenario.window > 0 {
			// A machine stalls by itself at times: the longer one looks, the more
			// likely. So steady time is looked at for as long.
			pause = max(pause, time.Since(opened))
		}
		if !wait(ctx, pause, nil) {
			return times, context.Cause(ctx)
		}
	}
	return times, nil
}

func restartOnce(ctx context.Context, f *fleet, l *load, old *process) (time.Duration, *process, error) {
	ctx, cancel := f.bound(ctx)
	defer cancel()
	began := time.Now()
	next, err := f.method.restart(ctx, f, old)
	if err != nil {
		return 0, nil, err
	}
	answered, err := f.answered(ctx, l, next.generation)
	if err != nil {
		return 0, nil, err
	}
	if err := old.gone(ctx); err != nil {
		return 0, nil, err
	}
	return answered.Sub(began), next, nil
}

// answered waits for the first answer of a generation: to the load or, where
// its clients hold the connections that they have, to one more client.
func (f *fleet) answered(ctx context.Context, l *load, generation int) (time.Time, error) {
	if f.scenario.path == upgradePath {
		err := f.answering(ctx, generation)
		return time.Now(), err
	}
	return l.answered(ctx, generation)
}

func (res *Measurement) addError(err error) {
	if err != nil {
		res.Errors = append(res.Errors, err.Error())
	}
}

func summarize(times []time.Duration) RestartTime {
	if len(times) == 0 {
		return RestartTime{}
	}
	sorted := slices.Sorted(slices.Values(times))
	return RestartTime{
		P50: milliseconds(sorted[(len(sorted)-1)/2]),
		Max: milliseconds(sorted[len(sorted)-1]),
	}
}
