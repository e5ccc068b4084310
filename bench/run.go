package bench

import (
	"context"
	"errors"
	"fmt"
)

// Run measures what o asks for, one method and scenario after the other. The
// report holds what failed or was lost in them, see Report.Err; Run itself
// fails when nothing sensible can be measured, or when ctx ends, and then
// returns the results so far. In every case the processes that it started are
// gone when it returns.
//
// While it runs, the calling process adopts its orphaned descendants
// (PR_SET_CHILD_SUBREAPER). Calls must not overlap: the check for leftovers
// counts what the whole process holds. On systems other than Linux the error
// matches errors.ErrUnsupported.
func Run(ctx context.Context, o *Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return run(ctx, o, methods(), false)
}

// run is Run over a table of methods. inNamespace says that this process is
// already in a network namespace made for the one method it is to measure.
func run(ctx context.Context, o *Options, all []*method, inNamespace bool) (*Report, error) {
	release, err := adoptOrphans()
	if err != nil {
		return nil, err
	}
	defer release()

	r := &Report{Command: o.commandLine(), Machine: thisMachine()}
	for _, name := range o.Methods {
		m := find(all, name, (*method).id)
		switch {
		case m.prepare != nil && !inNamespace:
			err = r.measureInNamespace(ctx, o, m)
		case m.prepare != nil:
			if err = m.prepare(); err != nil {
				err = &skipError{err}
				break
			}
			fallthrough
		default:
			err = r.measureAll(ctx, o, m)
		}
		var skip *skipError
		if errors.As(err, &skip) {
			r.Skipped = append(r.Skipped, Skip{Method: name, Reason: skip.Error()})
			fmt.Fprintf(o.Progress, "%s: skipped: %v\n", name, skip)
		} else if err != nil {
			return r, err
		}
	}
	return r, nil
}

// measureAll adds one result per scenario.
func (r *Report) measureAll(ctx context.Context, o *Options, m *method) error {
	for _, name := range o.Scenarios {
		s := find(scenarios(), name, func(s scenario) string { return s.name })
		res, err := measure(ctx, o, m, &s)
		if err != nil {
			return err
		}
		r.Results = append(r.Results, res)
	}
	return nil
}

// A skipError says why a method cannot run on this machine.
type skipError struct{ reason error }

func (e *skipError) Error() string { return e.reason.Error() }
func (e *skipError) Unwrap() error { return e.reason }
