package handoff

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// stepper is the machine under test, or a mutant of it.
type stepper func(machine, event) (machine, []action)

// setting is a beginning to explore from.
type setting struct {
	older, newer int8 // sockets
	together     bool // the older's sockets are in an order that it does not know
	steps        int  // shares before all
	hold         bool // the last of them until somebody is told to stop
	probation    bool
	rollback     bool // an operator may roll back, once
	stops        bool // and stop either side
	still        bool // a process may stand still for good
}

func (s setting) String() string {
	type plain setting
	return fmt.Sprintf("%+v", plain(s))
}

var settings = []setting{
	{older: 1, newer: 1, stops: true},
	{older: 1, newer: 1, steps: 1, hold: true, stops: true},
	{older: 2, newer: 1, rollback: true},
	{older: 2, newer: 2, probation: true},
	{older: 3, newer: 2},
	{older: 2, newer: 3},
	{older: 2, newer: 2, together: true},
	{older: 3, newer: 3, together: true},
	{older: 1, newer: 1, still: true},
	{older: 2, newer: 1, still: true},
	{older: 1, newer: 2, steps: 1, still: true},
	{older: 1, newer: 1, steps: 1, probation: true, rollback: true, still: true},
	{older: 1, newer: 1, probation: true, stops: true},
	{older: 2, newer: 2, steps: 1, probation: true, rollback: true},
	{older: 1, newer: 1, steps: 2, stops: true},
}

func (s setting) world() world {
	w := world{alive: [2]bool{true, true}, link: older, locked: true, n: s.older, program: program{count: s.older}}
	w.m[older] = machine{phase: phaseLeading}
	w.open[older] = s.older
	for i := range s.older {
		w.order[older][i] = i
		slot := i
		if s.together { // any order but the one that it believes in
			w.together[older] = true
			slot = (i + 1) % s.older
		}
		w.group[slot] = member{older, i}
	}
	w.armed[newer] = true
	w.enqueue(newer, msgHello)
	w.receive()
	return w
}

// A transition leads from one world to another.
type transition struct {
	name     string
	to       world
	violated string
	// effort is false for what the outside does: crashes and operators. A world
	// from which no other transition leads is at rest.
	effort bool
}

// transitions lists all that can happen next.
func (s setting) transitions(w world, step stepper) []transition {
	var all []transition
	add := func(name string, effort bool, change func(*world) string) {
		next := w
		violated := change(&next)
		next.receive()
		if violated == "" {
			violated = next.check()
		}
		all = append(all, transition{name, next, violated, effort})
	}
	for side := range int8(2) {
		who := []string{"older", "newer"}[side]
		if !w.alive[side] {
			// The kernel closes a dead process's sockets in an order of its own.
			for _, x := range w.group[:w.n] {
				if x.owner == side {
					add(fmt.Sprintf("%s's socket %d vanishes", who, x.id), true, func(n *world) string { n.leave(side, x.id); return "" })
				}
			}
			continue
		}
		if w.m[side].phase != phaseEnded {
			for lost := range w.inFlight(side) + 1 { // what it wrote last may be lost
				add(fmt.Sprintf("%s is killed, %d messages lost", who, lost), false, func(n *world) string { n.kill(side, lost); return "" })
			}
		}
		if w.still[side] {
			continue
		}
		if s.still && w.m[side].phase != phaseEnded {
			add(who+" is stopped", false, func(n *world) string { n.still[side] = true; return "" })
		}
		if w.todo[side][0] != 0 {
			name := w.todo[side][0].action().String()
			add(who+": "+name, true, func(n *world) string {
				_, violated := n.perform(side)
				return violated
			})
			continue // no event before its actions are done
		}
		for _, e := range s.events(w, side) {
			add(fmt.Sprintf("%s: event %d", who, e.event.kind), e.effort, func(n *world) string {
				if e.take != nil {
					e.take(n)
				}
				n.push(side, e.event, step)
				return ""
			})
		}
	}
	return all
}

func (w *world) inFlight(side int8) int { return slices.Index(w.sent[side][:], 0) }

func (w *world) kill(side int8, lost int) {
	w.alive[side] = false
	w.todo[side] = [maxPending]code{}
	w.armed[side] = false
	for i := w.inFlight(side) - 1; lost > 0; i, lost = i-1, lost-1 {
		w.sent[side][i] = 0
	}
	if side == newer {
		w.locked = false // the flock goes with the process
	}
}

// offered is an event that a machine can be given, and what it takes from the
// world.
type offered struct {
	event  event
	effort bool
	take   func(*world)
}

func (s setting) events(w world, side int8) []offered {
	var all []offered
	m := w.m[side]
	do := func(kind eventKind, take func(*world)) {
		all = append(all, offered{event{kind: kind}, true, take})
	}
	if w.armed[side] {
		// A leader that looks after one that stands still does so for as long as
		// that lasts; atRest does it once.
		all = append(all, offered{event{kind: evTimeout}, m.phase != phaseLeading && !s.held(w), func(n *world) { n.armed[side] = false }})
	}
	if m.emptying || m.phase == phaseLeaving {
		do(evEmptied, func(n *world) { n.finishEmptying(side) })
	}
	if m.phase == phaseDraining {
		do(evDrained, nil)
	}
	if s.stops && !w.stopped[side] && m.phase != phaseEnded {
		all = append(all, offered{event{kind: evStop}, false, func(n *world) { n.stopped[side] = true }})
	}
	if s.rollback && !w.rolledBack && (m.phase == phaseSharing || m.phase == phaseProbation || m.phase == phaseHosting || m.phase == phaseStarved) {
		all = append(all, offered{event{kind: evRollback}, false, func(n *world) { n.rolledBack = true }})
	}
	if side == newer {
		if m.phase == phaseDark && !w.readied {
			if w.open[newer] == 0 && w.count(newer) == 0 {
				all = append(all, offered{event{kind: numEvents}, true, func(n *world) { n.bind(s.newer) }})
			} else {
				do(evReady, func(n *world) { n.readied = true })
			}
		}
		if (m.phase == phaseSharing || m.phase == phaseProbation) && !s.held(w) {
			do(evPlan, nil)
		}
	}
	return append(all, s.fromPeer(w, side)...)
}

// held reports whether the newer holds its last share. Both tell that they live,
// so no deadline passes by itself.
func (s setting) held(w world) bool {
	return s.hold && w.alive == [2]bool{true, true} && w.m[newer].phase == phaseSharing && w.m[newer].share == s.steps-1
}

// fromPeer is what the conversation brings: its next message, or its end.
func (s setting) fromPeer(w world, side int8) []offered {
	peer := 1 - side
	if w.hungUp[side] {
		return nil
	}
	if msg := messages[w.sent[peer][0]]; msg != "" {
		take := func(n *world) {
			copy(n.sent[peer][:], n.sent[peer][1:])
			n.sent[peer][maxPending-1] = 0
		}
		if msg == msgHello {
			switch w.m[older].phase {
			case phaseLeading:
			default:
				return nil // the newer asks again, or is told that nobody leads
			}
		}
		if side == older {
			e := event{kind: lowerEvents[msg], n: int(w.open[older])}
			if w.together[older] {
				e.n = 1
			}
			return []offered{{e, true, take}}
		}
		kind, known := upperEvents[msg]
		if !known {
			return []offered{{event{kind: numEvents}, true, take}}
		}
		e := event{kind: kind}
		switch kind {
		case evWelcome:
			e.n, e.flag = s.steps, s.probation
		case evClosed, evRetired:
			closed := int8(1)
			if kind == evRetired {
				closed = w.below
			}
			return []offered{{e, true, func(n *world) { take(n); n.scattered(false); n.moved(closed) }}}
		}
		return []offered{{e, true, take}}
	}
	if side == older {
		if !w.alive[newer] || w.hungUp[newer] {
			return []offered{{event{kind: evLowerEnd}, true, func(n *world) { n.hungUp[older] = true }}}
		}
		return nil
	}
	if messages[w.sent[newer][0]] == msgHello && w.alive[older] && w.todo[older][0] == 0 && (w.m[older].phase == phaseDraining || w.m[older].phase == phaseEnded) {
		return []offered{{event{kind: evAlone}, true, func(n *world) {
			n.scattered(true)
			n.sent[newer] = [maxPending]uint8{}
			n.hungUp[newer] = true
		}}}
	}
	once := func(n *world) { n.hungUp[newer] = true }
	switch {
	case !w.alive[older] && w.count(older) == 0:
		return []offered{{event{kind: evUpperEnd}, true, func(n *world) { once(n); n.scattered(true) }}}
	case w.alive[older] && w.hungUp[older] && w.count(older) > 0:
		return []offered{{event{kind: evHungUp}, true, once}}
	case w.alive[older] && w.hungUp[older]:
		return []offered{{event{kind: evUpperEnd}, true, func(n *world) { once(n); n.scattered(true) }}}
	}
	return nil
}

// explore visits every world that can be reached, and returns how many there
// are and the first violation with the way to it.
func explore(s setting, step stepper, limit int) (int, string) {
	type visit struct {
		world world
		from  int32
		name  string
	}
	first := s.world()
	visits := []visit{{first, -1, "begin"}}
	seen := map[world]struct{}{first: {}}
	way := func(i int32, last string) string {
		var names []string
		for ; i >= 0; i = visits[i].from {
			names = append(names, visits[i].name)
		}
		slices.Reverse(names)
		return strings.Join(append(names, last), "\n\t")
	}
	for i := 0; i < len(visits); i++ {
		resting := true
		for _, t := range s.transitions(visits[i].world, step) {
			resting = resting && !t.effort
			if t.violated != "" {
				return len(visits), fmt.Sprintf("%s\nafter %s", t.violated, way(int32(i), t.name))
			}
			if _, ok := seen[t.to]; ok {
				continue
			}
			seen[t.to] = struct{}{}
			visits = append(visits, visit{t.to, int32(i), t.name})
		}
		if resting {
			if violated := s.atRest(visits[i].world, step); violated != "" {
				return len(visits), fmt.Sprintf("%s\nafter %s", violated, way(int32(i), "rest"))
			}
		}
		if len(visits) > limit {
			return len(visits), "too many states"
		}
	}
	return len(visits), ""
}

// maxStates is far more than there are.
const maxStates = 5_000_000

func TestExplore(t *testing.T) {
	began := time.Now()
	var total atomic.Int64
	t.Run("settings", func(t *testing.T) {
		for _, s := range settings {
			t.Run(s.String(), func(t *testing.T) {
				t.Parallel()
				n, violated := explore(s, machine.step, maxStates)
				if violated != "" {
					t.Error(violated)
				}
				t.Logf("%d states", n)
				total.Add(int64(n))
			})
		}
	})
	t.Logf("%d states in %v", total.Load(), time.Since(began).Round(time.Millisecond))
}
