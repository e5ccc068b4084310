package drain

import (
	"math/rand/v2"
	"time"
)

const (
	// hurryUp is the shortest gap between closes, as a part of the even one,
	// for those that are late. What is not closed within the window follows at
	// that pace.
	hurryUp = 0.9

	// late is how much of the time that was missed, on a busy machine, is made
	// up for at once.
	late = 25 * time.Millisecond
)

// pace closes a crowd evenly over a window. Each has a slot of its own there
// and goes at a random moment of it: within 100 ms there are never more than
// the slots that these touch, but no client's rhythm can meet ours. The slots
// divide the rest of the window anew whenever one is taken, because the crowd
// shrinks by itself too.
type pace struct {
	from, to time.Time
	slot     time.Time // the begin of the next slot
	turn     time.Time // in the current slot; zero until it is chosen
	gone     int
}

func newPace(from, to time.Time) pace { return pace{from: from, to: to, slot: from} }

// due says how many of n go now, and when the next one's turn is if they are
// not all.
func (p *pace) due(n int, now time.Time) (k int, next time.Time) {
	if early := now.Add(-late); p.slot.Before(early) {
		p.slot = early
	}
	shortest := time.Duration(hurryUp * float64(p.to.Sub(p.from)) / float64(p.gone+n))
	for k < n {
		if p.turn.IsZero() {
			slot := max(p.to.Sub(p.slot)/time.Duration(n-k), shortest, 0)
			p.turn = p.slot.Add(rand.N(slot + 1))
			p.slot = p.slot.Add(slot)
		}
		if p.turn.After(now) {
			return k, p.turn
		}
		p.turn = time.Time{}
		p.gone++
		k++
	}
	return k, time.Time{}
}
