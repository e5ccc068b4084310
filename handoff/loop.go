package handoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"
)

// input is what the loop receives: an event for the machine, or a function to
// run between two events.
type input struct {
	event event
	from  *conversation // of an event that a conversation caused
	msg   message
	offer offer // of a hello
	run   func()
}

// loopState belongs to the loop.
type loopState struct {
	m            machine
	since        time.Time
	upper, lower *conversation
	upperGen     int
	lowerPID     int
	lowerGen     int
	emptyID      int // of the emptying under way
	cancelEmpty  context.CancelFunc
	left         []leftBehind // connections that were in sockets when they closed
	upgrade      *upgrade
	offer        offer // to the successor
	plan         []Share
	probation    time.Duration
	share        int
	counters     counters

	deadline  *patientTimer
	planTimer *time.Timer
	heartbeat *time.Ticker
}

// post gives an event to the loop. It reports false when the loop has ended.
func (g *Generation) post(e event) bool { return g.put(input{event: e}) }

func (g *Generation) put(in input) bool {
	select {
	case g.inputs <- in:
		return true
	case <-g.ended:
		return false
	}
}

// do runs f in the loop and waits for it.
func (g *Generation) do(f func()) bool {
	ran := make(chan struct{})
	if !g.put(input{run: func() { f(); close(ran) }}) {
		return false
	}
	<-ran
	return true
}

// run is the one goroutine that steps the machine and performs its actions.
func (g *Generation) run() {
	defer close(g.ended)
	s := &g.loop
	s.since = time.Now()
	s.counters.begin(s.since)
	s.deadline = newPatientTimer()
	s.planTimer = time.NewTimer(time.Hour)
	s.planTimer.Stop()
	s.heartbeat = time.NewTicker(g.cfg.StepTimeout / 4)
	defer func() {
		s.deadline.stop()
		s.planTimer.Stop()
		s.heartbeat.Stop()
		if s.cancelEmpty != nil {
			s.cancelEmpty()
		}
		s.upper.flush()
		s.lower.flush()
	}()
	for {
		select {
		case in := <-g.inputs:
			g.take(in)
		case <-s.deadline.C():
			if s.deadline.expired() {
				g.step(event{kind: evTimeout, reason: g.timeoutReason()})
			}
		case <-s.planTimer.C:
			g.step(event{kind: evPlan})
		case <-s.heartbeat.C:
			g.beat()
		case <-g.closing:
			g.step(event{kind: evDrained})
			return
		}
	}
}

func (g *Generation) take(in input) {
	s := &g.loop
	switch {
	case in.run != nil:
		in.run()
	case in.from == nil:
		g.step(in.event)
	case in.from == s.upper:
		g.fromUpper(in)
	case in.from == s.lower:
		g.fromLower(in)
	}
}

// step gives one event to the machine and performs its actions. Only the loop
// calls it.
func (g *Generation) step(e event) {
	before, upper := g.loop.m.phase, g.loop.m.upper
	next, actions := g.loop.m.step(e)
	g.loop.m = next
	if next.phase != before {
		g.loop.since = time.Now()
		g.log.Debug("phase", "from", before.String(), "to", next.phase.String(), "reason", e.reason)
	}
	replaces := upper != peerAbsent || g.loop.upperGen != 0
	g.loop.counters.stepped(before, e, next.phase, actions, replaces, time.Now())
	for i, a := range actions {
		name := before.String() + "/" + a.String()
		g.cfg.step(g, name+" before")
		g.notify.before(g, before, a)
		err := g.perform(a)
		if i == len(actions)-1 {
			g.cfg.step(g, name+" after")
		}
		if err == nil {
			continue
		}
		g.log.Error("handoff step failed", "step", name, "error", err)
		if next.upper == peerTalking && next.phase != phaseLeading {
			// A predecessor is there to serve on: what is left of our steps
			// would only take more from it.
			g.step(event{kind: evSteerFail, reason: err.Error()})
			return
		}
	}
	if next.phase != before {
		g.entered(next.phase)
	}
	if next.phase == phaseLeading && (before != phaseLeading || upper != next.upper) {
		go g.trimDraining()
	}
}

// entered starts what lasts as long as a phase.
func (g *Generation) entered(p phase) {
	switch p {
	case phaseSharing:
		go g.watchHealth(p)
		return // its first action has started the time
	case phaseProbation:
		g.loop.planTimer.Reset(g.loop.probation)
		go g.watchHealth(p)
		return
	case phaseLeaving:
		if u := g.loop.upgrade; u != nil {
			u.finish(fmt.Errorf("%w before the successor had joined; it goes on alone", ErrStopped))
			u.rouse(g.log) // here, since we may end before the upgrade does
			g.loop.upgrade = nil
		}
	}
	g.loop.planTimer.Stop()
}

// beat tells a predecessor that waits with open sockets that we live.
func (g *Generation) beat() {
	s := &g.loop
	if s.m.phase == phaseSharing || s.m.phase == phaseProbation {
		s.upper.send(message{Type: msgAlive, Share: s.share})
	}
}

func (g *Generation) timeoutReason() string {
	switch g.loop.m.phase {
	case phaseHosting:
		if g.loop.m.chosen {
			break
		}
		return fmt.Sprintf("the successor (pid %d) was not ready within %v", g.loop.lowerPID, g.cfg.ReadyTimeout)
	}
	return fmt.Sprintf("the other side was silent for %v", g.cfg.StepTimeout)
}

// upperEvents and lowerEvents map messages to events of the machine.
var upperEvents = map[messageType]eventKind{
	msgWelcome: evWelcome, msgRefused: evRefused, msgLeave: evLeave, msgClosed: evClosed,
	msgRetired: evRetired, msgAlive: evUpperAlive,
}

var lowerEvents = map[messageType]eventKind{
	msgHello: evHello, msgBound: evBound, msgAlive: evLowerAlive, msgLeading: evLeading,
	msgRetire: evRetire, msgGaveUp: evGaveUp,
}

func (g *Generation) fromUpper(in input) {
	kind, known := upperEvents[in.msg.Type]
	if in.msg.Type == "" {
		if in.event.kind == evUpperEnd {
			g.mu.Lock() // the application may still be listening
			g.scattered(true)
			g.mu.Unlock()
			g.rouseSelf() // for nobody serves until we do
		}
		g.step(in.event)
		return
	}
	if in.msg.Type == msgFiles {
		g.keepFiles(in.msg)
	}
	if !known {
		return
	}
	e := event{kind: kind, reason: in.msg.Reason}
	switch kind {
	case evWelcome:
		if in.msg.Protocol != protocolVersion {
			e = event{kind: evRefused, reason: otherProtocol([]int{in.msg.Protocol})}
			break
		}
		e.n, e.flag = g.welcomed(in.msg)
	case evRefused:
		if known := in.msg.Protocols; len(known) > 0 && !slices.Contains(known, protocolVersion) {
			e.reason = strings.TrimPrefix(e.reason+"; ", "; ") + otherProtocol(known)
		}
	case evLeave:
		g.log.Info("the predecessor was told to stop, and leaves all to us")
	case evClosed, evRetired:
		g.scattered(false)
		g.moved(in.msg.Listeners)
		if in.msg.Left > 0 {
			g.log.Warn("the predecessor closed sockets that were not empty", "left", in.msg.Left)
		}
	}
	g.step(e)
}

func otherProtocol(theirs []int) string {
	return fmt.Sprintf("it speaks protocol versions %v, we speak %d", theirs, protocolVersion)
}

func (g *Generation) fromLower(in input) {
	s := &g.loop
	if s.m.phase == phaseLeading && s.m.lower == peerAbsent {
		// Nobody yet: the first message decides.
		if in.msg.Type != "" && !g.admit(in.from, in.msg) {
			in.from.hangUp()
			g.setLower(nil)
			return
		}
	}
	if in.msg.Type == "" {
		g.step(in.event) // the conversation's end
		return
	}
	kind, known := lowerEvents[in.msg.Type]
	if !known {
		return
	}
	if kind == evLowerAlive {
		s.share = in.msg.Share
	}
	e := event{kind: kind, reason: in.msg.Reason}
	if kind == evHello {
		e.n, s.offer = g.rounds(), in.offer
	}
	g.step(e)
}

// converse starts a conversation whose messages and end come to the loop.
// end is asked for the event for a line that is no message, or for the end.
func (g *Generation) converse(c *conversation, r *readAhead, end func(error) event) {
	c.start(r, func(m message) {
		in := input{from: c, msg: m}
		if m.Type == msgHello {
			in.offer = g.makeOffer()
		}
		if !g.put(in) {
			m.descriptors.close()
		}
	}, func(err error) {
		e := end(err)
		g.put(input{from: c, event: e})
	})
}

// readAhead is a connection whose first bytes were read already.
type readAhead struct {
	io.Reader
	first []byte
}

func (r *readAhead) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Reader.Read(p)
}

// upperEnd tells what the end of our conversation with the predecessor means.
// A dead process has left its groups. A living one is asked, once it has heard
// the end too: either it leads again, or it had closed its last socket.
func (g *Generation) upperEnd(c *conversation, generation int) func(error) event {
	return func(err error) event {
		c.hangUp()
		service := Service{dir: g.dir, Timeout: g.cfg.StepTimeout / 4}
		for deadline := time.Now().Add(g.cfg.StepTimeout); time.Now().Before(deadline); {
			dead := awaitExit(c.peer.pid, 10*time.Millisecond)
			st, asked := service.statusOf(context.Background(), generation)
			if c.peer.pid == 0 { // of another pid namespace: only its socket tells
				dead = errors.Is(asked, syscall.ECONNREFUSED) || errors.Is(asked, fs.ErrNotExist)
			}
			if dead {
				return event{kind: evUpperEnd, reason: "the predecessor is dead"}
			}
			if asked != nil {
				continue
			}
			switch st.State {
			case phaseDraining.String(), phaseEnded.String():
				return event{kind: evUpperEnd, reason: "the predecessor has closed its sockets"}
			case phaseLeading.String():
				return event{kind: evHungUp, reason: "the predecessor leads again: " + err.Error()}
			}
		}
		return event{kind: evHungUp, reason: "the predecessor ended the conversation: " + err.Error()}
	}
}

func (g *Generation) lowerEnd(peer credentials) func(error) event {
	return func(err error) event {
		if errors.Is(err, errMessage) {
			return event{kind: evRollback, reason: fmt.Sprintf("the successor (pid %d): %v", peer.pid, err)}
		}
		return event{kind: evLowerEnd, reason: fmt.Sprintf("the successor (pid %d) died or hung up before it led alone", peer.pid)}
	}
}
