package drain

import (
	"errors"
	"fmt"
	"time"
)

// ErrDeadline is matched by the error of a Report whose drain did not finish
// by itself.
var ErrDeadline = errors.New("drain: deadline passed")

type outcome uint8

const (
	finished outcome = iota
	idled
	cut
	forced
	numOutcomes
)

// Outcomes counts closed connections by how they ended.
type Outcomes struct {
	// Finished ended by themselves: after a response, or by the peer.
	Finished uint64 `json:"finished"`
	// Idle sent no request for IdleGrace, so draining closed them.
	Idle uint64 `json:"idle"`
	// Cut were long-lived, so draining closed them before the deadline, as
	// their listener's Policy says: in their turn, or at once.
	Cut uint64 `json:"cut"`
	// Forced were there at the deadline.
	Forced uint64 `json:"forced"`
}

// Report tells how a drain went.
type Report struct {
	Reason   string    `json:"reason,omitempty"` // as given in DrainOptions
	Started  time.Time `json:"started"`          // when Drain was first called
	Deadline time.Time `json:"deadline"`         // as it was set then, from Config.Timeout or ctx
	Seconds  float64   `json:"seconds"`          // how long it took

	Open     int      `json:"open"`     // connections when it began
	Accepted uint64   `json:"accepted"` // connections accepted since
	Closed   Outcomes `json:"closed"`   // how all of them ended

	// TimedOut tells that the deadline passed, or Drain's context ended,
	// before the last connection, hook and server had.
	TimedOut bool `json:"timed_out"`

	// Left are the connections that were closed by force, the first to be
	// accepted first. Of more than ten, only so many are listed; Closed.Forced
	// counts all.
	Left []ConnInfo `json:"left,omitempty"`

	// Trace is the execution trace that was written because the deadline
	// passed, a file in Config.TraceDir for go tool trace.
	Trace string `json:"trace,omitempty"`
}

// Err returns nil, or an error that matches ErrDeadline if the drain timed out.
func (r *Report) Err() error {
	if !r.TimedOut {
		return nil
	}
	return fmt.Errorf("%w: %d connections closed by force after %v", ErrDeadline,
		r.Closed.Forced, time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond))
}

func outcomes(now, before [numOutcomes]uint64) Outcomes {
	return Outcomes{
		Finished: now[finished] - before[finished],
		Idle:     now[idled] - before[idled],
		Cut:      now[cut] - before[cut],
		Forced:   now[forced] - before[forced],
	}
}
