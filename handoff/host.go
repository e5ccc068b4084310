package handoff

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// hostTakeover makes conn the conversation with our successor, in the loop. It
// fails unless we lead and no other takeover runs.
func (g *Generation) hostTakeover(c *conversation) bool {
	s := &g.loop
	if s.m.phase != phaseLeading {
		return false
	}
	if s.lower != nil {
		s.lower.hangUp() // refused, and lingering
		g.step(event{kind: evLowerEnd, reason: "another successor joins"})
	}
	g.setLower(c)
	s.share = 0
	s.left = nil
	return true
}

func (g *Generation) setLower(c *conversation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.loop
	s.lower = c
	if c != nil {
		s.lowerPID = c.peer.pid
	}
}

// admit answers the first message of a conversation. It refuses what is no
// hello in our protocol version.
func (g *Generation) admit(c *conversation, m message) bool {
	var reason string
	switch {
	case m.Type != msgHello:
		reason = fmt.Sprintf("the conversation begins with %q, not with hello", m.Type)
	case m.Protocol != protocolVersion:
		reason = fmt.Sprintf("protocol version %d is not known here, version %d is", m.Protocol, protocolVersion)
	default:
		c.conn.SetReadDeadline(time.Time{})
		g.loop.lowerGen = m.Generation
		return true
	}
	g.log.Warn("refused a takeover", "pid", c.peer.pid, "reason", reason)
	c.send(message{Type: msgRefused, Reason: reason, Protocols: []int{protocolVersion}})
	return false
}

// An offer is what the application hands to a successor.
type offer struct {
	state map[string][]byte
	files map[string]syscall.Conn
}

// makeOffer asks the application, outside the loop: it may ask us something. A
// conversation waits for it, one at a time.
func (g *Generation) makeOffer() (o offer) {
	g.offering.Lock()
	defer g.offering.Unlock()
	if g.cfg.State != nil {
		o.state = g.cfg.State()
	}
	if g.cfg.Files != nil {
		o.files = g.cfg.Files()
	}
	return o
}

func (g *Generation) welcomeMessage() message {
	s := &g.loop
	m := message{Type: msgWelcome, Protocol: protocolVersion, Generation: g.number, PID: os.Getpid(), Version: g.cfg.Version}
	var err error
	if m.Listeners, err = g.listenerInfos(); err != nil {
		g.log.Error("cannot describe the listeners", "error", err)
	}
	if m.State = s.offer.state; m.State != nil {
		if err := checkState(m); err != nil {
			g.log.Error("the state was not handed over", "error", err)
			m.State = nil
		}
	}
	if s.upgrade != nil {
		m.Plan, m.Probation = s.upgrade.plan, Duration(s.upgrade.probation)
	}
	return m
}

// hosted notes how far our successor has come.
func (g *Generation) hosted(reached messageType) {
	s := &g.loop
	p := Progress{Event: string(reached), PID: s.lowerPID, Generation: s.lowerGen}
	if reached == msgAlive {
		p.Event = "sharing"
	}
	g.log.Info("takeover", "successor", s.lowerGen, "successor_pid", s.lowerPID, "event", p.Event)
	if s.upgrade == nil {
		return
	}
	s.upgrade.report(p)
	if reached == msgRetire {
		s.upgrade.finish(nil)
		s.upgrade = nil
	}
}

// hostFailed ends a takeover that did not come about. It kills nobody: that is
// actKill's and cancelUpgrade's.
func (g *Generation) hostFailed(reason string) {
	g.log.Warn("the takeover failed, this generation serves on", "successor", g.loop.lowerGen,
		"successor_pid", g.loop.lowerPID, "reason", reason)
	if g.loop.upgrade != nil {
		g.loop.upgrade.fail(reason)
		g.loop.upgrade = nil
	}
}
