package supervise

import (
	"fmt"

	"github.com/graceport/graceport/reuseport"
)

// steer attaches a program through a socket that p holds.
func (s *supervisor) steer(p *process, x reuseport.Socket, to reuseport.Range) error {
	err := borrow(p.Pid, x, func(fd int) error {
		return reuseport.SteerFD(fd, s.strategy, reuseport.Selection{To: to})
	})
	if err != nil {
		return fmt.Errorf("steer %v: %w", x.Addr, err)
	}
	return nil
}

// keep steers to the sockets that a copy has now, which come first in their
// groups.
func (s *supervisor) keep(p *process, groups []*group) error {
	if s.NoSteer {
		return nil
	}
	for _, g := range groups {
		if err := s.steer(p, g.news[0], reuseport.Range{Count: len(g.news)}); err != nil {
			return err
		}
	}
	return nil
}

// take steers to the new sockets, which follow the old ones.
func (s *supervisor) take(next *process, groups []*group) error {
	if s.NoSteer {
		return nil
	}
	for _, g := range groups {
		switch n, m := len(g.olds), len(g.news); {
		case m == 0:
			s.Log.Warn("the new copy does not listen here: connections that arrive while the old one closes are lost", "address", g.olds[0].Addr)
		case n > 0:
			if err := s.steer(next, g.news[0], reuseport.Range{First: n, Count: m}); err != nil {
				return err
			}
		}
	}
	return nil
}

// guard chooses what stays valid while the old sockets close in any order.
func (s *supervisor) guard(next, old *process, groups []*group) error {
	for _, g := range groups {
		n, m := len(g.olds), len(g.news)
		if n == 0 || m == 0 {
			continue
		}
		if m == 1 {
			continue // take has chosen it
		}
		if err := s.steer(next, g.news[0], reuseport.Range{First: n, Count: max(1, m-n)}); err != nil {
			return err
		}
	}
	// There is no way back from here, so no error ends the restart any more.
	for _, g := range groups {
		for i := 0; 0 < len(g.news) && len(g.news) < len(g.olds) && i < len(g.olds); i++ {
			if err := borrow(old.Pid, g.olds[i], mute); err != nil {
				s.Log.Warn("connections may be lost while the old copy closes its sockets", "error", err)
			}
		}
	}
	return nil
}

// spread lets the kernel's hash choose among all the sockets of p, those that
// it opens later included, by an index beyond any group's array.
func (s *supervisor) spread(p *process, groups []*group) error {
	if s.NoSteer {
		return nil
	}
	for _, g := range groups {
		if err := s.steer(p, g.news[0], reuseport.Range{First: 1<<16 - 2, Count: 1}); err != nil {
			return err
		}
	}
	return nil
}
