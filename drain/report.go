package drain

import (
	"errors"
	"fmt"
	"time"
)

// ErrDeadline is matched by the error of a Report whose drain did not finish
// by itself.
var ErrDeadline = errors.New("drain: deadline passed")

// maxLeft bounds Report.Left.
const maxLeft = 32

type outcome uint8

const (
	finished outcome = iota
	idled
	spread
	forced
	numOutcomes
)

// Outcomes counts closed connections by how they ended.
type Outcomes struct {
	// Finished ended by themselves: after a response, or by the peer.
	Finished uint64 `json:"finished"`
	// Idle sent no request for IdleGrace, so draining closed them.
	Idle uint64 `json:"idle"`
	// Hijacked outlasted IdleGrace, so draining closed them in their turn.
	Hijacked uint64 `json:"hijacked"`
	// Forced were there at the deadline.
	Forced uint64 `json:"forced"`
}

// ConnInfo describes an open connection.
type ConnInfo struct {
	State   string  `json:"state"`       // new, active, idle or hijacked
	Seconds float64 `json:"age_seconds"` // since the state began
	Remote  string  `json:"remote"`      // the peer's address
}

// Report tells how a drain went.
type Report struct {
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"` // how long it took

	Open     int      `json:"open"`     // connections when it began
	Accepted uint64   `json:"accepted"` // connections accepted since
	Closed   Outcomes `json:"closed"`   // how all of them ended

	// TimedOut tells that the deadline passed, or Drain's context ended,
	// before the last connection, hook and server had.
	TimedOut bool `json:"timed_out"`

	// Left are the connections that were closed by force, the first to be
	// accepted first. Of more than 32, only so many are listed.
	Left []ConnInfo `json:"left,omitempty"`
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
		Hijacked: now[spread] - before[spread],
		Forced:   now[forced] - before[forced],
	}
}

func (c *Conns) info(tc *conn, now time.Time) ConnInfo {
	since, st := c.unstamp(tc.state.Load())
	i := ConnInfo{State: st.String(), Seconds: now.Sub(since).Seconds()}
	if a := tc.RemoteAddr(); a != nil {
		i.Remote = a.String()
	}
	return i
}
