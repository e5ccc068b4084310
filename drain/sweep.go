package drain

import (
	"slices"
	"time"
)

const (
	// sweepEvery is how often a drain looks at its connections at first. One
	// that lasts for hours need not look as often: sweepSlowest.
	sweepEvery   = 10 * time.Millisecond
	sweepSlowest = time.Second

	// settle covers the moment in which a connection has left the accept
	// queue and is not tracked yet, or is, and its server has not begun.
	settle = 10 * time.Millisecond

	// closeEvery paces closes that could as well happen all at once. A successor
	// has so long for each client that comes back.
	closeEvery = 2 * time.Millisecond
)

// sweeper is what a drain remembers from one look at its connections to the
// next.
type sweeper struct {
	conns   *Conns
	why     *Draining
	lookAt  time.Time // when to look again
	waiting bool      // HTTP/1 connections that Shutdown would hurt

	idle crowd // beyond grace
	long map[*listener]*crowd
}

// crowd are the connections to be closed for one reason.
type crowd struct {
	conns []*conn // the oldest first
	gone  int     // of them, since the last look
	pace  pace
}

func (c *crowd) forget() { c.conns, c.gone = c.conns[:0], 0 }

func newSweeper(c *Conns, why *Draining) *sweeper {
	return &sweeper{conns: c, why: why, long: make(map[*listener]*crowd)}
}

// look classifies every connection. conns.mu is held.
func (s *sweeper) look(now time.Time) {
	c := s.conns
	s.idle.forget()
	s.waiting = c.used && now.Sub(c.started) < settle
	for _, crowd := range s.long {
		crowd.forget()
	}
	for tc := c.list.next; tc != &c.list; tc = tc.next {
		v := tc.state.Load()
		since, st := c.unstamp(v)
		if st.waits() && tc.heard.CompareAndSwap(true, false) {
			// Part of a request, or of a TLS handshake: grace begins anew.
			tc.state.CompareAndSwap(v, c.stamp(st))
			since = now
		}
		quiet := now.Sub(since)
		switch {
		case st == stateHijacked:
			s.longLived(tc, st, now)
		case st == stateRaw:
			// An http.Server may be about to get it.
			s.waiting = s.waiting || quiet < c.grace
			if quiet >= c.grace || quiet >= settle && !tc.from.http.Load() {
				s.longLived(tc, st, now)
			}
		case tc.is(http2):
			// GOAWAY ends it in its turn, and Shutdown would tell all.
			s.waiting = s.waiting || now.Sub(c.started) < c.leaving
		default:
			s.waiting = true
			if quiet = min(quiet, now.Sub(c.started)); st.waits() && quiet >= c.grace && !tc.retiring.Load() {
				s.idle.conns = append(s.idle.conns, tc)
			}
		}
	}
}

// longLived does with tc what its listener's options say.
func (s *sweeper) longLived(tc *conn, st connState, now time.Time) {
	if tc.fate != finished {
		return // being closed
	}
	l := tc.from
	if !tc.told {
		tc.told = true
		if f := l.opts.OnDrain; f != nil {
			go f(tc, s.why)
		}
	}
	if !tc.warned && s.why.Deadline.Sub(now) <= l.opts.WarnBefore {
		tc.warned = true
		if f := l.opts.OnWarn; f != nil {
			go f(tc, s.why)
		}
	}
	p := l.policy(st)
	if p == Wait {
		return
	}
	from, to := l.window(p)
	if now.Before(from) {
		return
	}
	if s.long[l] == nil {
		s.long[l] = &crowd{pace: newPace(from, to)}
	}
	s.long[l].conns = append(s.long[l].conns, tc)
}

// pause is the time to the next look. It grows with the drain's age, and when
// looking at so many would cost more than a tenth of the time.
func (s *sweeper) pause(looked time.Time) time.Duration {
	age := looked.Sub(s.conns.started)
	return max(sweepEvery, min(age/200, sweepSlowest), 10*time.Since(looked))
}

// act closes those whose turn it is, and returns when to do so again, which is
// not after lookAt.
func (s *sweeper) act(now time.Time) (next time.Time) {
	next = s.lookAt
	if n := len(s.idle.conns) - s.idle.gone; n > 0 {
		if s.idle.pace.from.IsZero() {
			s.idle.pace = newPace(now, now.Add(s.idleWindow(n, now)))
		}
		for _, tc := range s.idle.turn(now, &next) {
			tc.retire()
		}
	}
	if s.idle.gone == len(s.idle.conns) {
		s.idle.pace = pace{} // the next crowd has a window of its own
	}
	for _, crowd := range s.long {
		s.conns.cut(crowd.turn(now, &next))
	}
	return next
}

// turn takes from the crowd those whose turn it is, and brings next forward to
// that of the others.
func (c *crowd) turn(now time.Time, next *time.Time) (due []*conn) {
	rest := c.conns[c.gone:]
	k, at := c.pace.due(len(rest), now)
	c.gone += k
	if k < len(rest) && at.Before(*next) {
		*next = at
	}
	return rest[:k]
}

// idleWindow is short for a few, at most another grace, or most of what the
// deadline leaves.
func (s *sweeper) idleWindow(n int, now time.Time) time.Duration {
	window := min(s.conns.grace, s.conns.deadline.Sub(now)*9/10)
	return min(window, time.Duration(n-1)*closeEvery)
}

// cut closes long-lived connections whose turn it is.
func (c *Conns) cut(due []*conn) {
	if len(due) == 0 {
		return
	}
	due = slices.Clone(due) // the next look writes over it
	c.mu.Lock()
	for _, tc := range due {
		tc.fate = cut
	}
	c.mu.Unlock()
	go closeAll(due) // any may block
}
