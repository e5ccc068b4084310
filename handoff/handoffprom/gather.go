package handoffprom

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/graceport/graceport/handoff"
	dto "github.com/prometheus/client_model/go"
)

var errTimeout = errors.New("no answer within Options.Timeout")

// gather asks the generations, keeps what they said, adds up those that have
// ended, and merges it all. Counters that cannot be kept are not shown: another
// process might show less later.
func (g *Gatherer) gather() ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), g.timeout, errTimeout)
	defer cancel()
	asking, cancelAsking := context.WithTimeoutCause(ctx, g.timeout*4/5, errTimeout)
	defer cancelAsking()
	service, err := handoff.NewService(g.store.dir)
	if err != nil {
		return nil, err
	}
	service.Timeout = g.timeout / 5
	answers, err := ask(asking, service)
	if err != nil {
		return nil, err
	}

	writes := !g.readOnly
	if writes {
		unlock, err := g.store.lock(ctx)
		if err != nil {
			g.log.Warn("metrics are not kept", "error", err)
			writes = false
		} else {
			defer unlock()
		}
	}
	r, err := g.read(service, answers)
	if err != nil {
		return nil, err
	}
	switch {
	case writes:
		if err := g.write(service, r); err != nil {
			g.log.Error("metrics are not kept", "error", err)
		}
	case !g.readOnly:
		for n := range r.said {
			r.showKept(n)
		}
	}
	return r.merged(), nil
}

// reading is what is known of every generation.
type reading struct {
	ended  *ended
	said   map[int]families // of those that answered, joined with what was kept
	kept   map[int]families // of those
	silent map[int]families // of those that live and did not
	folded []int            // have ended since the last time, and are in ended now
	stale  []int            // were in it already, and have a file
	anew   bool             // a generation that was in it lives
}

// read needs the lock if the files are to be written afterwards.
func (g *Gatherer) read(service *handoff.Service, answers []answer) (*reading, error) {
	r := &reading{said: map[int]families{}, kept: map[int]families{}, silent: map[int]families{}}
	kept, err := g.store.generations()
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		switch {
		case a.err == nil:
			r.said[a.generation] = a.families
		case !service.Lives(a.generation):
			continue // killed, or it has ended meanwhile
		case errors.Is(a.err, errNoMetrics):
			r.said[a.generation] = families{}
		default:
			g.log.Warn("a generation is left out", "generation_left_out", a.generation, "error", a.err)
			r.silent[a.generation] = families{}
		}
	}
	last := map[int]families{}
	for _, n := range kept {
		_, said := r.said[n]
		dead := !said && !service.Lives(n)
		// It leaves its last numbers before its socket closes: so they are read
		// after that was seen.
		known, err := g.store.generation(n)
		if err = g.excuse(err); err != nil {
			return nil, err
		}
		switch {
		case said:
			r.said[n], r.kept[n] = join(r.said[n], known), known
		case dead:
			last[n] = known
		default:
			r.silent[n] = known
		}
	}
	// The sums last: without the lock a generation may move into them meanwhile,
	// and would be missing, not counted twice.
	if r.ended, err = g.store.ended(); g.excuse(err) != nil {
		return nil, err
	}
	g.settle(r, service, last)
	return r, nil
}

// excuse logs that a file is damaged: it will be replaced. Another error stands:
// to go on without a file that is there would lose it.
func (g *Gatherer) excuse(err error) error {
	if !errors.Is(err, errDamaged) {
		return err
	}
	g.log.Error("kept metrics are lost", "error", err)
	return nil
}

// settle adds to the sums what is not in them yet.
func (g *Gatherer) settle(r *reading, service *handoff.Service, last map[int]families) {
	for n := range r.said {
		if !r.ended.has(n) {
			continue
		}
		if service.Lives(n) {
			g.log.Warn("the count of generations has begun anew: what it counted before is kept", "restarted_at", n)
			r.ended.revive(n)
			r.anew = true
		} else {
			delete(r.said, n) // it ended after it answered
		}
	}
	for n := range r.silent {
		if r.ended.has(n) && !service.Lives(n) {
			delete(r.silent, n)
		}
	}
	for n, families := range last {
		if r.ended.has(n) {
			r.stale = append(r.stale, n)
			continue
		}
		if dropped := r.ended.sums.fold(families); dropped > 0 {
			g.log.Warn("too many series to keep those of a generation that has ended", "ended", n, "dropped", dropped, "limit", maxSeries)
		}
		r.folded = append(r.folded, n)
	}
}

// write keeps r. The lock is held. The sums come before the files that they
// replace are removed: who is killed in between leaves files that are known to
// be in them.
func (g *Gatherer) write(service *handoff.Service, r *reading) error {
	var errs []error
	for n, families := range r.said {
		if len(families) == 0 {
			continue
		}
		if err := g.store.keep(n, families); err != nil {
			errs = append(errs, err)
			r.showKept(n)
		}
	}
	if len(r.folded) > 0 || r.anew {
		left, err := service.Generations()
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		left = slices.AppendSeq(slices.AppendSeq(left, maps.Keys(r.said)), maps.Keys(r.silent))
		r.ended.advance(r.folded, left)
		if err := g.store.keepEnded(r.ended); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	for _, n := range slices.Concat(r.folded, r.stale) {
		errs = append(errs, g.store.remove(n))
	}
	return errors.Join(errs...)
}

// showKept takes back what a generation said, but for the gauges.
func (r *reading) showKept(n int) {
	shown := families{}
	for name, f := range r.said[n] {
		if !cumulative(f.GetType()) {
			shown[name] = f
		}
	}
	for name, f := range r.kept[n] {
		if shown[name] == nil {
			shown[name] = f
		}
	}
	r.said[n] = shown
}

func (r *reading) merged() []*dto.MetricFamily {
	all := families{}
	generations := slices.AppendSeq(slices.Collect(maps.Keys(r.said)), maps.Keys(r.silent))
	slices.Sort(generations)
	for _, n := range slices.Backward(generations) {
		if said, ok := r.said[n]; ok {
			merge(all, said, strconv.Itoa(n))
			continue
		}
		merge(all, r.silent[n], strconv.Itoa(n))
		silence(all, n, handoff.StateSilent)
	}
	merge(all, r.ended.sums, endedValue)
	return all.sorted()
}
