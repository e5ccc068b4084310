package drain

import (
	"net/http"
	"time"
)

// connState is what a connection is doing, as far as draining cares.
type connState uint8

const (
	stateRaw      connState = iota // accepted; no http.Server has it, or not yet
	stateNew                       // has not sent a request
	stateActive                    // a request is being answered
	stateIdle                      // waits for its next request
	stateHijacked                  // a handler took it: WebSocket and the like
)

func (s connState) String() string {
	switch s {
	case stateNew:
		return "new"
	case stateIdle:
		return "idle"
	case stateHijacked:
		return "hijacked"
	}
	return "active"
}

// waits reports whether the next move is the client's.
func (s connState) waits() bool { return s == stateNew || s == stateIdle }

// A stamp is a state and the microseconds from epoch to when it began, in one
// word: a busy connection changes state twice a request and must not queue for
// a lock that all connections share.
func (c *Conns) stamp(s connState) uint64 { return stamped(time.Since(c.epoch), s) }

func stamped(since time.Duration, s connState) uint64 {
	return uint64(since.Microseconds())<<8 | uint64(s)
}

func (c *Conns) unstamp(v uint64) (since time.Time, s connState) {
	return c.epoch.Add(time.Duration(v>>8) * time.Microsecond), connState(v & 0xff)
}

// changed follows net/http's state of a connection.
func (c *Conns) changed(tc *conn, to http.ConnState) {
	switch to {
	case http.StateNew:
		if l := tc.from; !l.http.Load() {
			l.http.Store(true)
		}
		tc.state.Store(c.stamp(stateNew))
	case http.StateActive:
		tc.state.Store(c.stamp(stateActive))
		if tc.retiring.Load() {
			tc.reprieve() // a request that was pipelined, so no Read told us
		}
	case http.StateIdle:
		tc.heard.Store(false)
		tc.state.Store(c.stamp(stateIdle))
	case http.StateHijacked:
		tc.state.Store(c.stamp(stateHijacked))
	}
}
