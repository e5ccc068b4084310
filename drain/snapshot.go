package drain

import (
	"slices"
	"time"
)

// maxSlowest bounds Snapshot.Slowest.
const maxSlowest = 5

// States counts open connections by state.
type States struct {
	New      int `json:"new"`      // no request yet
	Active   int `json:"active"`   // answering one; or of no http.Server
	Idle     int `json:"idle"`     // between requests
	Hijacked int `json:"hijacked"` // taken from its http.Server by a handler
}

func (s *States) add(st connState) {
	switch st {
	case stateNew:
		s.New++
	case stateIdle:
		s.Idle++
	case stateHijacked:
		s.Hijacked++
	default:
		s.Active++
	}
}

// ListenerSnapshot is what became of the connections of one listener, or of
// several of the same name.
type ListenerSnapshot struct {
	Name     string   `json:"name"`     // ListenerOptions.Name
	Open     States   `json:"open"`     // now
	Accepted uint64   `json:"accepted"` // since New
	Closed   Outcomes `json:"closed"`   // since New
}

// Snapshot is the state of a Conns at one moment. Its numbers belong together,
// so a metrics collector needs only one for all it shows.
type Snapshot struct {
	Open     States   `json:"open"`     // now
	Accepted uint64   `json:"accepted"` // since New
	Closed   Outcomes `json:"closed"`   // since New

	// Listeners has the same numbers by listener, in the order of their
	// first use.
	Listeners []ListenerSnapshot `json:"listeners,omitempty"`

	Draining bool      `json:"draining"`          // began, and has not ended
	Reason   string    `json:"reason,omitempty"`  // as given in DrainOptions
	Started  time.Time `json:"started,omitzero"`  // zero before draining
	Deadline time.Time `json:"deadline,omitzero"` // of draining
	Ended    time.Time `json:"ended,omitzero"`    // zero until all is closed

	// Oldest are the connections that were accepted first, at most ten.
	Oldest []ConnInfo `json:"oldest,omitempty"`
	// Slowest are the connections active for longest, at most five.
	Slowest []ConnInfo `json:"slowest,omitempty"`
}

// Snapshot looks at every connection once, for the status and the metrics of a
// service. It holds up Accept meanwhile: about 10 ms for 100,000 connections.
func (c *Conns) Snapshot() Snapshot {
	s, oldest, slowest := c.snapshot()
	now := time.Now()
	s.Oldest, s.Slowest = infos(oldest, now), infos(slowest, now)
	return s
}

func (c *Conns) snapshot() (s Snapshot, oldest, slowest []*conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	accepted, closed := c.totals()
	s = Snapshot{
		Accepted: accepted,
		Closed:   outcomes(closed, [numOutcomes]uint64{}),
		Draining: !c.started.IsZero() && c.ended.IsZero(),
		Reason:   c.reason,
		Started:  c.started,
		Deadline: c.deadline,
		Ended:    c.ended,
	}
	for _, l := range c.stats {
		s.Listeners = append(s.Listeners, ListenerSnapshot{
			Name:     l.name,
			Accepted: l.accepted,
			Closed:   outcomes(l.closed, [numOutcomes]uint64{}),
		})
	}
	for tc := c.list.next; tc != &c.list; tc = tc.next {
		_, st := c.unstamp(tc.state.Load())
		s.Open.add(st)
		s.Listeners[tc.from.stats.index].Open.add(st)
		if len(oldest) < maxListed {
			oldest = append(oldest, tc)
		}
		if st == stateActive || st == stateRaw {
			slowest = c.slower(slowest, tc)
		}
	}
	return s, oldest, slowest
}

// slower inserts tc into list, which is sorted and bounded.
func (c *Conns) slower(list []*conn, tc *conn) []*conn {
	at, _ := slices.BinarySearchFunc(list, tc, func(a, b *conn) int {
		as, _ := c.unstamp(a.state.Load())
		bs, _ := c.unstamp(b.state.Load())
		return as.Compare(bs)
	})
	if at == maxSlowest {
		return list
	}
	list = slices.Insert(list, at, tc)
	return list[:min(len(list), maxSlowest)]
}
