package handoff

import "fmt"

// What must hold in the worlds of explore: the invariants of the design, by number.

// check holds in every world.
func (w *world) check() string {
	if !w.readyAlive(older) && !w.readyAlive(newer) {
		return ""
	}
	c := w.choosable()
	for i, s := range w.group[:w.n] {
		if !c[i] || !w.alive[s.owner] {
			continue
		}
		if p := w.m[s.owner].phase; p == phaseJoining || p == phaseDark {
			return "I1, I3: a generation that is not ready can be chosen"
		}
	}
	return ""
}

// atRest holds where nothing more happens by itself, but that a leader looks
// after one that stands still.
func (s setting) atRest(w world, step stepper) string {
	if s.held(w) {
		if w.stopped[older] {
			return "I5: one that was told to stop hosts forever"
		}
		return ""
	}
	for side := range int8(2) {
		if w.armed[side] && w.alive[side] && !w.still[side] {
			w.armed[side] = false
			w.push(side, event{kind: evTimeout}, step)
			for w.todo[side][0] != 0 {
				w.perform(side)
			}
		}
	}
	leaders := 0
	for side := range int8(2) {
		if !w.alive[side] || w.still[side] {
			continue
		}
		switch p := w.m[side].phase; p {
		case phaseLeading:
			leaders++
			if w.still[1-side] {
				for i, yes := range w.choosable() {
					if yes && int8(i) < w.n && w.group[i].owner != side {
						return "I1: new connections wait at a process that stands still"
					}
				}
				continue
			}
			if w.link != side {
				return "I4: the leader link names another"
			}
			if w.m[side].upper == peerSilent && w.count(older) > 0 {
				continue // it may yet wake up; everything goes to us
			}
			if w.n != w.open[side] || w.program != (program{count: w.n}) && !w.hashed(side) {
				return fmt.Sprintf("I4: the leader steers %+v in a group of %d, %d its own", w.program, w.n, w.open[side])
			}
			if !w.together[side] && !w.inOrder(side) {
				return "the leader does not know its sockets' order"
			}
		case phaseEnded:
		default:
			return fmt.Sprintf("I5: one waits forever, %v", p)
		}
	}
	if leaders > 1 {
		return "I6: two generations lead"
	}
	if leaders == 1 && w.locked && !w.still[newer] {
		return "I6: the lock is never released"
	}
	if leaders == 0 && (w.readyAlive(older) && !w.still[older] || w.readyAlive(newer) && !w.still[newer]) {
		return "I1: nobody leads although a ready generation lives"
	}
	return ""
}

// hashed reports whether no program chooses, which among our own sockets alone
// is as good.
func (w *world) hashed(side int8) bool { return w.count(side) == w.n && w.program.count == 0 }

func (w *world) inOrder(side int8) bool {
	for i, s := range w.group[:w.n] {
		if s.id != w.order[side][i] {
			return false
		}
	}
	return true
}
