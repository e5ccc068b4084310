package handoff

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
		a.fail(e.reason)
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
		m.rounds = e.n
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
	case evUpperEnd:
		m.upper = peerAbsent
	case evRefused, evHungUp, evStop, evRollback:
		m.giveUp(e.reason, a)
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
		m.giveUp(e.reason, a)
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
		a.do(actSteer)
		m.settle(a)
	case evRefused, evHungUp, evStop, evRollback, evSteerFail:
		m.giveUp(e.reason, a)
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
		a.do(actSteer)
		m.settle(a)
	case evTimeout:
		m.upper = peerSilent
		m.settle(a)
	case evRefused, evHungUp, evSteerFail:
		m.giveUp(e.reason, a)
	case evStop:
		m.stopping = true
	}
}

// settle ends our own takeover: we lead and another generation may join.
func (m *machine) settle(a *actions) {
	m.phase = phaseLeading
	a.arm(deadlineNone)
	a.do(actUnlock)
	if m.stopping {
		m.leave(a)
	}
}

// giveUp hands everything back to a predecessor that still has its sockets. We
// steer ourselves rather than ask, because our own sockets may be emptied only
// after the program stopped choosing them.
func (m *machine) giveUp(reason string, a *actions) {
	a.arm(deadlineNone)
	if m.phase != phaseDark {
		a.do(actSteerBack)
	}
	if m.upper == peerTalking {
		a.send(msgGaveUp, reason)
	}
	a.fail(reason)
	m.upper = peerAbsent
	m.leave(a)
}

// leave empties and closes our sockets for nobody in particular.
func (m *machine) leave(a *actions) {
	m.phase = phaseLeaving
	a.do(actEmptyAll)
}
