package drain

import (
	"errors"
	"fmt"
	"time"
)

// ErrDraining is matched by the [context.Cause] of a context that ended
// because draining began. The cause itself is a [*Draining].
var ErrDraining = errors.New("drain: draining")

// Draining is the [context.Cause] of the contexts that end when draining
// begins, and tells handlers why that is, and how long they have:
//
//	var d *drain.Draining
//	if errors.As(context.Cause(ctx), &d) {
//		sayGoodbye(d.Reason, time.Until(d.Deadline))
//	}
type Draining struct {
	Reason   string    // as given in DrainOptions, "" if none was
	Deadline time.Time // when what is left is closed by force, at the latest
}

// Error gives the deadline and the reason.
func (d *Draining) Error() string {
	s := fmt.Sprintf("%v until %s", ErrDraining, d.Deadline.Format(time.RFC3339))
	if d.Reason != "" {
		s += ": " + d.Reason
	}
	return s
}

// Unwrap makes d match ErrDraining.
func (d *Draining) Unwrap() error { return ErrDraining }
