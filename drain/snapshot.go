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

// Snapshot is the state of a Conns at one moment.
type Snapshot struct {
	Open     States   `json:"open"`
	Accepted uint64   `json:"accepted"` // since New
	Closed   Outcomes `json:"closed"`   // since New

	Draining bool      `json:"draining"`          // began, and has not ended
	Started  time.Time `json:"started,omitzero"`  // zero before draining
	Deadline time.Time `json:"deadline,omitzero"` // of draining
	Ended    time.Time `json:"ended,omitzero"`

	// Slowest are the connections active for longest, at most five.
	Slowest []ConnInfo `json:"slowest,omitempty"`
}

// Snapshot looks at every connection, for the status of a service. It holds
// up Accept meanwhile.
func (c *Conns) Snapshot() Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Snapshot{
		Accepted: c.accepted,
		Closed:   outcomes(c.closed, [numOutcomes]uint64{}),
		Draining: !c.started.IsZero() && c.ended.IsZero(),
		Started:  c.started,
		Deadline: c.deadline,
		Ended:    c.ended,
	}
	now := time.Now()
	var slowest []*conn
	for tc := c.list.next; tc != &c.list; tc = tc.next {
		switch _, st := c.unstamp(tc.state.Load()); st {
		case stateNew:
			s.Open.New++
		case stateIdle:
			s.Open.Idle++
		case stateHijacked:
			s.Open.Hijacked++
		default:
			s.Open.Active++
			slowest = c.slower(slowest, tc)
		}
	}
	for _, tc := range slowest {
		s.Slowest = append(s.Slowest, c.info(tc, now))
	}
	return s
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
