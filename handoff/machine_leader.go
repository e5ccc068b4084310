package handoff

func (m *machine) leading(e event, a *actions) {
	switch e.kind {
	case evHello:
		if m.lower == peerLingering {
			a.do(actRegain) // the refused one may have steered since
		}
		m.lower, m.chosen, m.phase = peerTalking, false, phaseHosting
		a.tell(msgWelcome, "")
		a.host(msgHello)
		a.arm(deadlineReady)
	case evBound, evLowerAlive, evLeading:
		if m.lower == peerLingering {
			a.do(actRegain, actLink)
		}
	case evGaveUp, evLowerEnd:
		if m.lower == peerLingering {
			m.lower = peerAbsent
			a.do(actDropLower, actRegain, actLink)
		}
	case evStop:
		m.leave(a)
	case evRefused, evHungUp:
		if m.upper != peerAbsent {
			m.giveUp(e.reason, a)
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
		a.send(msgLeading, "")
		a.send(msgRetire, "")
	case evClosed:
		a.do(actSteer)
		a.send(msgRetire, "")
	case evRetired, evUpperEnd:
		m.upper = peerAbsent
		a.do(actSteer)
	}
}

func (m *machine) hosting(e event, a *actions) {
	switch e.kind {
	case evBound:
		a.host(msgBound)
	case evLowerAlive:
		m.chosen = true
		a.tell(msgAlive, "")
		a.arm(deadlineStep)
	case evLeading:
		m.phase = phaseStarved
		a.host(msgLeading)
		a.arm(deadlineStep)
	case evTimeout, evRollback:
		if e.kind == evTimeout && !m.chosen {
			a.do(actKill)
		}
		m.refuse(e.reason, a)
	case evGaveUp, evLowerEnd:
		m.resume(e.reason, a)
	case evStop:
		m.stopping = true
		a.tell(msgLeave, "")
	default:
		m.latePredecessor(e, a)
	}
}

// refuse ends the takeover from our side. The successor may be stopped right
// before an attach of its own, so its end of the conversation is awaited, and
// whatever it still does is undone (phaseLeading, peerLingering).
func (m *machine) refuse(reason string, a *actions) {
	a.tell(msgRefused, reason)
	m.backToLead(reason, a)
	m.lower = peerLingering
}

// resume leads again after the successor died or gave up.
func (m *machine) resume(reason string, a *actions) {
	a.do(actDropLower)
	m.backToLead(reason, a)
	m.lower = peerAbsent
}

func (m *machine) backToLead(reason string, a *actions) {
	if m.emptying {
		m.emptying = false
		a.do(actCancel)
	}
	// Even one that has told nothing may have steered: what it wrote last is
	// lost when it dies.
	a.do(actRegain, actLink)
	a.arm(deadlineNone)
	a.hostFail(reason)
	m.phase = phaseLeading
	if m.stopping {
		m.leave(a)
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
	case evTimeout, evRollback:
		m.refuse(e.reason, a)
	case evGaveUp, evLowerEnd:
		m.resume(e.reason, a)
	case evStop:
		m.stopping = true
		a.tell(msgLeave, "")
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
	case evTimeout, evRollback:
		m.refuse(e.reason, a)
	case evGaveUp, evLowerEnd:
		m.resume(e.reason, a)
	case evStop:
		m.stopping = true
	}
}
