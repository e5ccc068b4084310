package handoff

// The state machine of one generation, from joining to its end: a pure
// function from a state and an event to the next state and the actions to
// take, in order. It knows nothing of sockets, time or messages' bytes, so
// that every interleaving with a peer can be explored (see explore_test.go).
//
// A generation is first the successor in one takeover (phases joining to
// taking), then leads, then is the predecessor in the next (hosting to
// retiring). "Upper" is its conversation with its predecessor, "lower" the one
// with its successor.
type machine struct {
	phase phase
	upper peer
	lower peer

	chosen    bool // the successor has said that it receives a share
	emptying  bool // an actEmpty is under way
	stopping  bool // asked to stop while a takeover runs; honoured when it ends
	probation bool // the predecessor stays a while, starved, after we lead
	rounds    int  // rounds of closing until none of our sockets is left
	steps     int  // shares to hold before taking all
	share     int  // index of the share in force
}

// step is the machine. An event that has no meaning in a phase changes
// nothing: it comes from a peer or a timer that was overtaken.
func (m machine) step(e event) (machine, []action) {
	var a actions
	switch m.phase {
	case phaseJoining:
		m.joining(e, &a)
	case phaseDark:
		m.dark(e, &a)
	case phaseSharing:
		m.sharing(e, &a)
	case phaseProbation:
		m.onProbation(e, &a)
	case phaseTaking:
		m.taking(e, &a)
	case phaseLeading:
		m.leading(e, &a)
	case phaseHosting:
		m.hosting(e, &a)
	case phaseStarved:
		m.starved(e, &a)
	case phaseRetiring:
		m.retiring(e, &a)
	case phaseLeaving:
		if e.kind == evEmptied {
			m.phase = phaseDraining
			a.do(actCloseAll, actUnlock, actSuperseded)
		}
	case phaseDraining:
		if e.kind == evDrained {
			m.phase = phaseEnded
			a.tell(msgDrained, "")
			a.do(actEnd)
		}
	}
	return m, a
}

// The successor's part.

func (m *machine) joining(e event, a *actions) {
	switch e.kind {
	case evAlone, evUpperEnd:
		m.upper = peerAbsent
	case evTimeout:
		m.upper = peerSilent
	case evWelcome:
		m.welcomed(e)
	case evRefused, evHungUp, evStop:
		m.phase = phaseDraining
		a.arm(deadlineNone)
		a.fail(e)
		a.do(actUnlock, actSuperseded)
		return
	default:
		return
	}
	m.phase = phaseDark
	a.arm(deadlineNone)
	a.do(actJoined)
}

func (m *machine) welcomed(e event) {
	m.upper, m.steps, m.probation = peerTalking, e.n, e.flag
}

func (m *machine) dark(e event, a *actions) {
	switch e.kind {
	case evReady:
		if m.upper == peerTalking && m.steps > 0 {
			m.phase = phaseSharing
			a.send(msgAlive, "")
			*a = append(*a, action{kind: actShare})
			a.do(actServing)
			a.arm(deadlineStep)
			return
		}
		m.lead(a)
	case evWelcome:
		m.welcomed(e)
	case evLeave: // no share, no probation: it wants to end
		m.steps, m.probation = 0, false
	case evAlone, evUpperEnd:
		m.upper = peerAbsent
	case evRefused, evHungUp, evStop, evRollback:
		m.giveUp(e, a)
	}
}

func (m *machine) sharing(e event, a *actions) {
	switch e.kind {
	case evPlan:
		if m.share++; m.share < m.steps {
			*a = append(*a, action{kind: actShare, n: m.share})
			return
		}
		m.lead(a)
	case evUpperAlive:
		a.arm(deadlineStep)
	case evShare:
		*a = append(*a, action{kind: actShareTo, n: e.n})
	case evLeave, evTimeout: // a silent predecessor serves nobody: take its share too
		m.probation = false
		m.lead(a)
	case evUpperEnd:
		m.upper = peerAbsent
		m.lead(a)
	case evRefused, evHungUp, evStop, evRollback, evSteerFail:
		m.giveUp(e, a)
	}
}

// lead makes us the leader. The traffic moves first: the link and the message
// only tell.
func (m *machine) lead(a *actions) {
	a.do(actSteer, actLink)
	if m.upper == peerTalking {
		a.send(msgLeading, "")
	}
	if m.phase == phaseDark {
		a.do(actServing)
	}
	if m.upper != peerTalking {
		m.settle(a)
		return
	}
	if m.probation {
		m.phase = phaseProbation
		a.arm(deadlineStep)
		return
	}
	m.retirePredecessor(a)
}

func (m *machine) retirePredecessor(a *actions) {
	m.phase = phaseTaking
	a.send(msgRetire, "")
	a.arm(deadlineRetire)
}

func (m *machine) onProbation(e event, a *actions) {
	switch e.kind {
	case evUpperAlive:
		a.arm(deadlineStep)
	case evPlan, evLeave, evTimeout:
		m.retirePredecessor(a)
	case evUpperEnd:
		m.upper = peerAbsent
		a.do(actSteer, actLink)
		m.settle(a)
	case evRefused, evHungUp, evStop, evRollback, evSteerFail:
		m.giveUp(e, a)
	}
}

func (m *machine) taking(e event, a *actions) {
	switch e.kind {
	case evClosed:
		a.do(actSteer)
		a.send(msgRetire, "")
		a.arm(deadlineRetire)
	case evRetired, evUpperEnd:
		m.upper = peerAbsent
		a.do(actSteer, actLink)
		m.settle(a)
	case evTimeout:
		m.upper = peerSilent
		a.do(actSteer) // it may have closed a socket and not said so
		m.settle(a)
	case evRefused, evHungUp, evSteerFail:
		m.giveUp(e, a)
	case evStop:
		m.stopping = true
	}
}

// settle ends our own takeover: we lead and another generation may join.
func (m *machine) settle(a *actions) {
	m.phase = phaseLeading
	m.watch(a)
	a.do(actUnlock)
	if m.stopping {
		m.leave(a)
	}
}

// giveUp hands everything back to a predecessor that still has its sockets. We
// do it ourselves rather than ask: our sockets may be emptied only after the
// program stopped choosing them, and it may have ended the conversation before
// we steered.
func (m *machine) giveUp(e event, a *actions) {
	a.arm(deadlineNone)
	if m.phase != phaseDark {
		a.do(actSteerBack, actLinkBack)
	}
	if m.upper == peerTalking {
		a.send(msgGaveUp, e.reason)
	}
	a.fail(e)
	m.upper = peerAbsent
	m.leave(a)
}

// leave empties and closes our sockets for nobody in particular.
func (m *machine) leave(a *actions) {
	m.phase = phaseLeaving
	a.arm(deadlineNone)
	a.do(actEmptyAll)
}

// The leader's part, which becomes the predecessor's.

func (m *machine) leading(e event, a *actions) {
	switch e.kind {
	case evHello:
		if m.lower == peerLingering {
			m.regain(a) // the refused one may have steered since
		}
		m.lower, m.chosen, m.phase, m.rounds = peerTalking, false, phaseHosting, e.n
		a.tell(msgWelcome, "")
		a.host(msgHello)
		a.arm(deadlineReady)
	case evBound, evLowerAlive, evLeading:
		if m.lower == peerLingering {
			m.regain(a)
		}
	case evGaveUp, evLowerEnd:
		// A refused one has ended, or one that said nothing: it may have passed us
		// over while we were stopped.
		m.lower = peerAbsent
		a.do(actDropLower)
		m.regain(a)
		m.watch(a)
	case evTimeout:
		m.regain(a)
		m.watch(a)
	case evStop:
		m.leave(a)
	case evRefused, evHungUp:
		if m.upper != peerAbsent {
			m.giveUp(e, a)
		}
	default:
		m.latePredecessor(e, a)
	}
}

// latePredecessor is the end of a takeover from a generation that was silent
// when we took the lead: it wakes up, or it dies.
func (m *machine) latePredecessor(e event, a *actions) {
	if m.upper == peerAbsent {
		return
	}
	switch e.kind {
	case evWelcome:
		m.upper = peerTalking
		a.do(actSteer, actLink) // it may have regained when it woke up
		a.send(msgLeading, "")
		a.send(msgRetire, "")
	case evClosed:
		a.do(actSteer)
		a.send(msgRetire, "")
	case evRetired, evUpperEnd, evAlone:
		m.upper = peerAbsent
		a.do(actSteer, actLink)
		if m.phase == phaseLeading {
			m.watch(a)
		}
	}
}

func (m *machine) hosting(e event, a *actions) {
	switch e.kind {
	case evBound:
		a.host(msgBound)
	case evLowerAlive:
		if !m.chosen {
			a.host(msgAlive)
		}
		m.chosen = true
		a.tell(msgAlive, "")
		a.arm(deadlineStep)
	case evLeading:
		m.phase = phaseStarved
		a.host(msgLeading)
		a.arm(deadlineStep)
	case evTimeout:
		if !m.chosen {
			a.do(actKill)
		}
		m.refuse(e.reason, a)
	default:
		m.latePredecessor(e, a)
		m.whileHosting(e, a)
	}
}

// whileHosting is what holds in every phase of a takeover by our successor: until
// our last socket is closed it can end, and then we lead as before.
func (m *machine) whileHosting(e event, a *actions) {
	switch e.kind {
	case evTimeout, evRollback:
		m.refuse(e.reason, a)
	case evGaveUp, evLowerEnd:
		m.resume(e.reason, a)
	case evStop:
		m.stopping = true
		a.tell(msgLeave, "")
	}
}

// refuse ends the takeover from our side. The successor may be stopped right
// before an attach of its own, and perhaps again right after it. So its end of
// the conversation is awaited, and whatever it still does is undone, the
// latest at each deadline (phaseLeading, peerLingering).
func (m *machine) refuse(reason string, a *actions) {
	a.tell(msgRefused, reason)
	m.lower = peerLingering
	m.backToLead(reason, a)
}

// resume leads again after the successor died or gave up.
func (m *machine) resume(reason string, a *actions) {
	a.do(actDropLower)
	m.lower = peerAbsent
	m.backToLead(reason, a)
}

func (m *machine) backToLead(reason string, a *actions) {
	if m.emptying {
		m.emptying = false
		a.do(actCancel)
	}
	// Even one that has told nothing may have steered: what it wrote last is
	// lost when it dies.
	m.regain(a)
	m.watch(a)
	a.hostFail(reason)
	m.phase, m.chosen = phaseLeading, false
	if m.stopping {
		m.leave(a)
	}
}

// regain gives every group to our own sockets, as the leader. Where a silent
// predecessor still has some, no successor can have bound any.
func (m *machine) regain(a *actions) {
	if m.upper == peerAbsent {
		a.do(actRegain, actLink)
	} else {
		a.do(actSteer, actLink)
	}
}

// watch arms the deadline at which a leader looks after a process that may wake
// up, act, and stand still again without a word: one that it refused, or a
// silent predecessor.
func (m *machine) watch(a *actions) {
	if m.lower == peerLingering || m.upper != peerAbsent {
		a.arm(deadlineStep)
	} else {
		a.arm(deadlineNone)
	}
}

func (m *machine) starved(e event, a *actions) {
	switch e.kind {
	case evRetire:
		m.phase = phaseRetiring
		a.host(msgRetire)
		m.empty(a)
	case evLowerAlive:
		a.tell(msgAlive, "")
		a.arm(deadlineStep)
	default:
		m.whileHosting(e, a)
	}
}

func (m *machine) empty(a *actions) {
	m.emptying = true
	a.arm(deadlineNone) // emptying is bounded by itself
	a.do(actEmpty)
}

// retiring closes one socket of every listener a round, the last index first,
// and nothing reaches zero before the last round: until then we can lead
// again.
func (m *machine) retiring(e event, a *actions) {
	switch e.kind {
	case evRetire:
		if !m.emptying {
			m.empty(a)
		}
	case evEmptied:
		if !m.emptying {
			return
		}
		m.emptying = false
		m.rounds--
		a.do(actClose)
		if m.rounds > 0 {
			a.tell(msgClosed, "")
			a.arm(deadlineStep)
			return
		}
		m.phase = phaseDraining
		a.tell(msgRetired, "")
		a.do(actSuperseded)
	default:
		m.whileHosting(e, a)
	}
}
