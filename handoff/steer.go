package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// groupTime bounds reading the members of a group from the kernel.
const groupTime = time.Second

// eachGroup calls f for every listener that can steer and has sockets, with
// our range in its group: it begins where the predecessor's sockets end.
func (g *Generation) eachGroup(f func(l *listener, own, theirs reuseport.Range) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), groupTime)
	defer cancel()
	var errs []error
	for _, l := range g.listeners {
		open := l.Open()
		if open == 0 || !l.Strategy().Steers() {
			continue
		}
		group, err := l.Group(ctx)
		if err == nil {
			below := max(len(group)-open, 0)
			err = f(l, reuseport.Range{First: below, Count: open}, reuseport.Range{Count: below})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.name, err))
		}
	}
	return errors.Join(errs...)
}

// steer gives every group to our own sockets.
func (g *Generation) steer() error {
	return g.eachGroup(func(l *listener, own, theirs reuseport.Range) error {
		if theirs.Count < l.below {
			// Closed without a word, in an order that nobody told.
			l.together = l.Open() > 1
			l.below = theirs.Count
		}
		if l.theirsTogether && theirs.Count > 0 {
			own.Count = 1 // the one that keeps its slot to the last
		}
		return l.Steer(reuseport.Selection{To: own, Balance: l.balance})
	})
}

// moved is told how many sockets the predecessor still has after it closed
// some, the last index first, and keeps account of how ours moved.
func (g *Generation) moved(theirs []listenerInfo) {
	for _, l := range g.listeners {
		left := 0
		for _, info := range theirs {
			if info.Address == l.Addr().String() {
				left = len(info.Inodes)
			}
		}
		if l.below > left && !l.together {
			l.Moved(l.below - left)
		}
		l.below = min(l.below, left)
	}
}

// scattered is told that the predecessor closed sockets, or that it died, and
// notes where our sockets' order in their group is unknown from then on, see
// listener.together.
func (g *Generation) scattered(died bool) {
	for _, l := range g.listeners {
		if l.Open() > 1 && l.below > 0 && (died || l.theirsTogether) {
			l.together = true
		}
	}
}

// steerBack gives every group to the predecessor's sockets.
func (g *Generation) steerBack() error {
	return g.eachGroup(func(l *listener, _, theirs reuseport.Range) error {
		if theirs.Count == 0 {
			return nil
		}
		return l.Steer(reuseport.Selection{To: theirs, Balance: l.balance})
	})
}

// steerShare gives share/10000 of every group to our own sockets.
func (g *Generation) steerShare(share int) error {
	g.loop.share = share
	return g.eachGroup(func(l *listener, own, theirs reuseport.Range) error {
		if theirs.Count == 0 {
			return nil // an address of ours alone
		}
		return l.Steer(reuseport.Selection{To: own, Share: share, Rest: theirs, Balance: l.balance})
	})
}

// regain gives every group to our own sockets against a successor's, which
// come after ours whatever their number.
func (g *Generation) regain() error {
	var errs []error
	for _, l := range g.listeners {
		if open := l.Open(); open > 0 && l.Strategy().Steers() {
			errs = append(errs, l.Steer(reuseport.Selection{To: reuseport.Range{Count: open}, Balance: l.balance}))
		}
	}
	return errors.Join(errs...)
}
