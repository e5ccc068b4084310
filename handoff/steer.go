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

// eachGroup calls f for every group that we can steer, with our range in it,
// which begins where the predecessor's sockets end.
func (g *Generation) eachGroup(f func(l *listener, own, theirs reuseport.Range) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), groupTime)
	defer cancel()
	var errs []error
	for _, l := range g.listeners {
		if !l.steers() {
			continue
		}
		open := l.Open()
		group, err := l.group.Group(ctx)
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

// steer gives every group and path to our own sockets.
func (g *Generation) steer() error {
	paths := g.takePaths()
	groups := g.eachGroup(func(l *listener, own, theirs reuseport.Range) error {
		if theirs.Count < l.below {
			// Closed without a word, in an order that nobody told.
			l.together = l.Open() > 1
			l.below = theirs.Count
		}
		if l.theirsTogether && theirs.Count > 0 {
			own.Count = 1 // the one that keeps its slot to the last
		}
		return l.group.Steer(reuseport.Selection{To: own, Balance: l.balance})
	})
	return errors.Join(groups, paths)
}

// moved is told how many sockets the predecessor still has after it closed
// some, the last index first, and keeps account of how ours moved.
func (g *Generation) moved(theirs []listenerInfo) {
	for _, l := range g.listeners {
		if l.group == nil {
			continue
		}
		left := 0
		for _, info := range theirs {
			if l.sameAddress(info) {
				left = len(info.Inodes)
			}
		}
		if l.below > left && !l.together {
			l.group.Moved(l.below - left)
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

// steerBack gives every group and path to the predecessor's sockets.
func (g *Generation) steerBack() error {
	paths := g.givePathsBack()
	groups := g.eachGroup(func(l *listener, _, theirs reuseport.Range) error {
		if theirs.Count == 0 {
			return nil
		}
		return l.group.Steer(reuseport.Selection{To: theirs, Balance: l.balance})
	})
	return errors.Join(groups, paths)
}

// steerShare gives share/10000 of every group to our own sockets. A path
// cannot be shared and stays as it is.
func (g *Generation) steerShare(share int) error {
	g.loop.share = share
	return g.eachGroup(func(l *listener, own, theirs reuseport.Range) error {
		if theirs.Count == 0 {
			return nil // an address of ours alone
		}
		return l.group.Steer(reuseport.Selection{To: own, Share: share, Rest: theirs, Balance: l.balance})
	})
}

// regain gives every group and path to our own sockets against a successor's,
// which come after ours whatever their number.
func (g *Generation) regain() error {
	errs := []error{g.takePaths()}
	for _, l := range g.listeners {
		if l.steers() {
			errs = append(errs, l.group.Steer(reuseport.Selection{To: reuseport.Range{Count: l.Open()}, Balance: l.balance}))
		}
	}
	return errors.Join(errs...)
}
