package drain

import (
	"net"
	"time"
)

// Policy says how draining ends long-lived connections: those that a handler
// hijacked, such as WebSocket, and those that no [http.Server] serves, such as
// SSH. Its zero value is Spread for the former and Wait for the latter.
type Policy uint8

const (
	// Wait leaves them alone until the deadline, which closes those that are
	// left, all at the same time.
	Wait Policy = iota + 1
	// Spread leaves them alone for Grace and then closes them one by one:
	// evenly over Window, each at a random moment of its own slot, so that
	// clients that come back at once meet the successor as evenly.
	Spread
	// Cut closes all of them as soon as Grace has passed.
	Cut
)

// ListenerOptions are for [Conns.ListenerWith]. They concern the listener's
// long-lived connections, see [Policy]. Requests are finished in any case.
type ListenerOptions struct {
	// Name tells the listener's connections from others in a Snapshot, a
	// Report and metrics. Listeners of one name are counted together.
	Name string

	// Policy says how draining ends the connections; see there for the zero
	// value.
	Policy Policy

	// Grace is how long after the start of draining Spread and Cut leave the
	// connections alone. 0 means Config.IdleGrace, less than 0 not at all.
	Grace time.Duration

	// Window is the time from the end of Grace over which Spread closes the
	// connections. 0 means until shortly before the deadline, which Window
	// does not extend.
	Window time.Duration

	// OnDrain, if not nil, is called once for each connection, in a goroutine
	// of its own: when draining begins or, if the connection is accepted or
	// hijacked later, then. It is the place for a protocol's own goodbye. nc
	// is what Accept returned, so it is beneath a TLS that was put outside,
	// and its handler uses it at the same time. Draining waits for nc to be
	// closed, not for OnDrain to return.
	OnDrain func(nc net.Conn, d *Draining)

	// OnWarn, if not nil, is called like OnDrain, WarnBefore before the
	// deadline, or up to a second later. It is not called if Drain's context
	// ends before that.
	OnWarn     func(nc net.Conn, d *Draining)
	WarnBefore time.Duration // 0 or less means Config.IdleGrace
}

// policy returns what goes for a connection in state st.
func (l *listener) policy(st connState) Policy {
	switch {
	case l.opts.Policy != 0:
		return l.opts.Policy
	case st == stateHijacked:
		return Spread
	}
	return Wait
}

// window returns from when to when the connections are closed.
func (l *listener) window(p Policy) (from, to time.Time) {
	c := l.conns
	from = c.started.Add(max(l.opts.Grace, 0))
	switch to = from.Add(l.opts.Window); {
	case p == Cut:
		to = from
	case l.opts.Window <= 0 || to.After(c.deadline):
		// The margin is for those that come late to their turn.
		to = from.Add(c.deadline.Sub(from) * 19 / 20)
	}
	return from, to
}
