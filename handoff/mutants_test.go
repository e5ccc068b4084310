package handoff

import (
	"slices"
	"strings"
	"testing"
)

// A mutant is the machine with one fault.
type mutant struct {
	name  string
	fault func(m machine, e event, next *machine, actions []action) []action
	finds string // what the exploration must say of it
}

// without drops actions of a kind, where in reports yes.
func without(kind actionKind, in func(m machine, e event) bool) func(machine, event, *machine, []action) []action {
	return func(m machine, e event, _ *machine, actions []action) []action {
		if !in(m, e) {
			return actions
		}
		return slices.DeleteFunc(actions, func(a action) bool { return a.kind == kind })
	}
}

func on(kinds ...eventKind) func(machine, event) bool {
	return func(_ machine, e event) bool { return slices.Contains(kinds, e.kind) }
}

func in(phases ...phase) func(machine, event) bool {
	return func(m machine, _ event) bool { return slices.Contains(phases, m.phase) }
}

func always(machine, event) bool { return true }

var mutants = []mutant{
	{"the predecessor does not re-attach when its successor dies", without(actRegain, on(evLowerEnd)), "I4"},
	{"it does not re-attach when it refuses one", without(actRegain, on(evTimeout)), "I1"},
	{"it does not undo what a refused one still did", without(actRegain, in(phaseLeading)), "I4"},
	{"it does not take the link back", without(actLink, on(evLowerEnd)), "I4"},
	{"the successor does not re-attach when a socket was closed", without(actSteer, on(evClosed)), "I2"},
	{"nor when the last was closed", without(actSteer, on(evRetired)), "I4"},
	{"nor when its predecessor dies", without(actSteer, on(evUpperEnd)), "I4"},
	{"it does not take the link when its predecessor dies", without(actLink, on(evUpperEnd)), "I4"},
	{"it does not take the link at all", without(actLink, in(phaseDark, phaseSharing)), "I4"},
	{"it keeps the lock", without(actUnlock, always), "I6"},
	{"it frees the lock before its sockets are closed", func(_ machine, _ event, next *machine, actions []action) []action {
		return swap(actions, actCloseAll, actUnlock)
	}, "I6"},
	{"it gives up without steering back", without(actSteerBack, always), "I2"},
	{"it asks to retire before it steers", func(_ machine, _ event, _ *machine, actions []action) []action {
		i := slices.IndexFunc(actions, func(a action) bool { return a.kind == actSend && a.msg == msgRetire })
		if i < 0 {
			return actions
		}
		retire := actions[i]
		return slices.Insert(slices.Delete(actions, i, i+1), 0, retire)
	}, "I2"},
	{"the predecessor closes before it is empty", func(m machine, e event, next *machine, actions []action) []action {
		if e.kind != evRetire || !next.emptying {
			return actions
		}
		n, more := next.step(event{kind: evEmptied})
		*next = n
		actions = slices.DeleteFunc(actions, func(a action) bool { return a.kind == actEmpty })
		return append(actions, more...)
	}, "I2"},
	{"it closes every socket in the first round", func(m machine, e event, next *machine, actions []action) []action {
		if e.kind == evHello {
			next.rounds = 1
		}
		return actions
	}, "I2"},
	{"it tells that a socket is closed before it closes it", func(_ machine, _ event, _ *machine, actions []action) []action {
		return swap(actions, actClose, actTell)
	}, "I"},
	{"it does not watch over a refused one", func(m machine, e event, next *machine, actions []action) []action {
		if next.phase != phaseLeading {
			return actions
		}
		return unarmed(actions)
	}, "I1"},
	{"it does not wait for a refused one's end", func(m machine, _ event, next *machine, actions []action) []action {
		if next.lower == peerLingering && m.lower != peerLingering {
			next.lower = peerAbsent
			actions = append(actions, action{kind: actDropLower})
		}
		return actions
	}, "I"},
	{"it waits for its successor without a deadline", func(m machine, _ event, next *machine, actions []action) []action {
		if next.phase != phaseHosting {
			return actions
		}
		return unarmed(actions)
	}, "I5"},
	{"it waits starved without a deadline", func(m machine, _ event, next *machine, actions []action) []action {
		if next.phase != phaseStarved {
			return actions
		}
		return unarmed(actions)
	}, "I5"},
	{"the successor waits for a closing without a deadline", func(m machine, _ event, next *machine, actions []action) []action {
		if next.phase != phaseTaking {
			return actions
		}
		return unarmed(actions)
	}, "I5"},
	{"it takes traffic before it is ready", func(m machine, e event, next *machine, actions []action) []action {
		if m.phase == phaseJoining && next.phase == phaseDark {
			return append(actions, action{kind: actSteer})
		}
		return actions
	}, "I"},
	{"a refused one goes on", func(m machine, e event, next *machine, actions []action) []action {
		if e.kind == evRefused && m.phase != phaseJoining {
			*next = m
			return nil
		}
		return actions
	}, "I"},
	{"a successor that warms up does not hear that its predecessor leaves", func(m machine, e event, next *machine, actions []action) []action {
		if m.phase == phaseDark && e.kind == evLeave {
			*next = m
		}
		return actions
	}, "I5"},
	{"a stopped predecessor does not tell its successor, and leaves", func(m machine, e event, next *machine, actions []action) []action {
		if m.phase == phaseHosting && e.kind == evStop {
			next.phase = phaseLeaving
			return []action{{kind: actEmptyAll}}
		}
		return actions
	}, "I"},
}

// swap exchanges the first action of one kind with the first of another that
// follows it.
func swap(actions []action, first, second actionKind) []action {
	i := slices.IndexFunc(actions, func(a action) bool { return a.kind == first })
	j := slices.IndexFunc(actions, func(a action) bool { return a.kind == second })
	if i >= 0 && j > i {
		actions[i], actions[j] = actions[j], actions[i]
	}
	return actions
}

func unarmed(actions []action) []action {
	return append(slices.DeleteFunc(actions, func(a action) bool { return a.kind == actArm }), action{kind: actArm})
}

// Every fault must be found, or the exploration proves nothing.
func TestExploreFindsFaults(t *testing.T) {
	for _, x := range mutants {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			step := func(m machine, e event) (machine, []action) {
				next, actions := m.step(e)
				return next, x.fault(m, e, &next, actions)
			}
			for _, s := range settings {
				if _, violated := explore(s, step, maxStates); violated != "" {
					first, _, _ := strings.Cut(violated, "\n")
					t.Logf("%s (%v)", first, s)
					if !strings.HasPrefix(violated, x.finds) {
						t.Errorf("found as %q, want %q", first, x.finds)
					}
					return
				}
			}
			t.Error("not found")
		})
	}
}
