package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/graceport/graceport/reuseport"
)

// group is the sockets that share an address, as far as a restart cares: those
// of the old copy and those of the new one.
type group struct {
	of         string // the address as it was given
	early      bool   // serves the readiness check only, and is switched before it
	olds, news []reuseport.Socket
	others     []reuseport.Socket
}

// errUnseen is a process that holds sockets, or none, which we may not know.
var errUnseen = errors.New("its sockets cannot be seen")

// look returns the groups in which p has sockets, its news, or in which the
// sockets in olds are. Sockets of others in such a group are an error: nobody
// could tell what index they have. The error matches errUnseen if p seems to
// have none because we may not look into it.
func (s *supervisor) look(ctx context.Context, p *process, olds map[uint64]bool) ([]*group, error) {
	var all []*group
	want := map[uint64]bool{}
	addresses := s.addresses
	if s.check.port != 0 {
		addresses = append(slices.Clone(addresses), address{text: s.check.arg, port: s.check.port})
	}
	for i, a := range addresses {
		sockets, err := a.sockets(ctx)
		if err != nil {
			return nil, err
		}
		for _, x := range sockets {
			if want[x.Inode] {
				continue // two addresses name one group
			}
			want[x.Inode] = true
			at := slices.IndexFunc(all, func(g *group) bool { return g.others[0].SameGroup(x) })
			if at < 0 {
				at = len(all)
				all = append(all, &group{of: a.text, early: i >= len(s.addresses)})
			}
			all[at].others = append(all[at].others, x)
		}
	}
	for inode := range olds {
		delete(want, inode)
	}
	var found map[uint64]holder
	var unseen error
	if len(want) > 0 {
		found, unseen = holders(p.Pid, want)
	}
	for _, g := range all {
		g.others = slices.DeleteFunc(g.others, func(x reuseport.Socket) bool {
			switch _, mine := found[x.Inode]; {
			case olds[x.Inode]:
				g.olds = append(g.olds, x)
			case mine:
				g.news = append(g.news, x)
			default:
				return false
			}
			return true
		})
		if len(g.others) > 0 && len(g.olds)+len(g.news) > 0 {
			return nil, errors.Join(stranger(g.others[0]), unseen)
		}
	}
	if unseen != nil && len(inodes(all)) == 0 {
		return nil, fmt.Errorf("process %d: %w: %w: %s", p.Pid, errUnseen, unseen, mayLook)
	}
	return slices.DeleteFunc(all, func(g *group) bool { return len(g.olds)+len(g.news) == 0 }), nil
}

func stranger(x reuseport.Socket) error {
	who := "a process that /proc does not show"
	if pid, command, ok := x.Owner(); ok {
		who = fmt.Sprintf("process %d (%s)", pid, command)
	}
	return fmt.Errorf("%s listens on %v too: stop it; "+
		"if it is an earlier copy that should have stopped, -stop may be the wrong signal", who, x.Addr)
}

// missing returns an address of the program for which p has no socket.
func (s *supervisor) missing(groups []*group) (address, bool) {
	for _, a := range s.addresses {
		if !slices.ContainsFunc(groups, func(g *group) bool { return g.of == a.text && len(g.news) > 0 }) {
			return a, true
		}
	}
	return address{}, false
}

// inodes lists the new sockets of all groups.
func inodes(groups []*group) map[uint64]bool {
	all := map[uint64]bool{}
	for _, g := range groups {
		for _, x := range g.news {
			all[x.Inode] = true
		}
	}
	return all
}

// canShare returns an error that says what to set if a second copy could not
// listen beside p.
func canShare(p *process, groups []*group) error {
	for _, g := range groups {
		ok := false
		err := borrow(p.Pid, g.news[0], func(fd int) (err error) {
			ok, err = shares(fd)
			return err
		})
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("the socket on %v was made without SO_REUSEPORT, so that no second copy can listen there. "+
				"Let the program set it before bind: nginx \"listen … reuseport\", Node.js {reusePort: true}, "+
				"Python sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1), Rust socket2 set_reuse_port(true)", g.news[0].Addr)
		}
	}
	return nil
}
