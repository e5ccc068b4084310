package drain

import (
	"math"
	"time"
)

const (
	// sweepEvery is how often a drain looks at its connections, unless there
	// are so many that looking would cost more than a tenth of the time.
	sweepEvery = 10 * time.Millisecond

	// settle covers the moment in which a connection has left the accept
	// queue and is not tracked yet.
	settle = 10 * time.Millisecond

	// closeEvery paces closes that could as well happen all at once.
	closeEvery = 10 * time.Millisecond
)

// sweeper is what a drain remembers from one look at its connections to the
// next.
type sweeper struct {
	conns *Conns

	due      []*conn // beyond grace
	hijacked []*conn
	waiting  bool // HTTP/1 connections that Shutdown would hurt

	last       time.Time // the previous look
	idleBy     time.Time // when all that are due now shall have been retired
	lastSpread time.Time // the previous close of a hijacked connection
}

// look classifies every connection. conns.mu is held.
func (s *sweeper) look(now time.Time) {
	c := s.conns
	s.due, s.hijacked, s.waiting = s.due[:0], s.hijacked[:0], c.used && now.Sub(c.started) < settle
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
			s.hijacked = append(s.hijacked, tc)
		case st == stateRaw:
			// An http.Server may be about to get it.
			s.waiting = s.waiting || quiet < c.grace
		case tc.http2.Load():
			// GOAWAY ends it, if not now then with Shutdown.
		default:
			s.waiting = true
			if quiet = min(quiet, now.Sub(c.started)); st.waits() && quiet >= c.grace && !tc.retiring.Load() {
				s.due = append(s.due, tc)
			}
		}
	}
}

// act closes as many of the connections found by look as it is time to.
func (s *sweeper) act(now time.Time) {
	for _, tc := range s.due[:s.pace(now)] {
		tc.retire()
	}
	for _, tc := range s.hijacked[:s.spread(now)] {
		s.conns.end(tc, spread)
	}
	s.last = now
}

// pace says how many of the due may go. A few go at once, many evenly within
// another grace, or most of what the deadline leaves, so that their clients do
// not all come back at the same time.
func (s *sweeper) pace(now time.Time) int {
	n := len(s.due)
	if n == 0 {
		s.idleBy = time.Time{}
		return 0
	}
	if s.idleBy.IsZero() {
		s.last = now
		window := min(s.conns.grace, s.conns.deadline.Sub(now)*9/10)
		s.idleBy = now.Add(min(window, time.Duration(n-1)*closeEvery))
	}
	k := n
	if left := s.idleBy.Sub(now); left > 0 {
		step := max(now.Sub(s.last), closeEvery)
		k = min(n, int(math.Ceil(float64(n)*float64(step)/float64(left))))
	}
	if k == n {
		s.idleBy = time.Time{} // the next crowd has a window of its own
	}
	return k
}

// spread says how many hijacked connections may go. They have been told; after
// a grace they go one by one, evenly up to the deadline, which ends the last.
func (s *sweeper) spread(now time.Time) (n int) {
	c := s.conns
	if s.lastSpread.IsZero() {
		s.lastSpread = c.started.Add(c.grace)
	}
	for n < len(s.hijacked) {
		step := c.deadline.Sub(s.lastSpread) / time.Duration(len(s.hijacked)-n)
		next := s.lastSpread.Add(step)
		if now.Before(next) || !next.Before(c.deadline) {
			break
		}
		s.lastSpread = next
		n++
	}
	return n
}

// end closes tc with an outcome of our choice.
func (c *Conns) end(tc *conn, how outcome) {
	c.mu.Lock()
	tc.fate = how
	c.mu.Unlock()
	tc.Close()
}
