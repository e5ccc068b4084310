package handoff

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// leftBehind is what a socket still held when it was closed at RetireTimeout.
type leftBehind struct {
	Listener string `json:"listener"`
	reuseport.Left
}

// perform does one action. Only the loop calls it, and nothing in it waits for
// another process.
func (g *Generation) perform(a action) error {
	s := &g.loop
	switch a.kind {
	case actSteer:
		return g.steer()
	case actRegain:
		return g.regain()
	case actSteerBack:
		return g.steerBack()
	case actShare:
		s.planTimer.Stop()
		if hold := time.Duration(s.plan[a.n].Hold); hold > 0 {
			s.planTimer.Reset(hold)
		}
		return g.steerShare(s.plan[a.n].Share)
	case actShareTo:
		s.planTimer.Stop() // by hand from here on
		return g.steerShare(a.n)
	case actLink:
		return g.link()
	case actLinkBack:
		return g.linkBack()
	case actSend:
		g.send(a)
	case actTell:
		g.tell(a)
	case actArm:
		s.deadline.arm(g.duration(a.arm))
	case actJoined:
		close(g.joined)
	case actServing:
		close(g.serving)
		g.closeFiles() // what nobody fetched
		g.log.Info("serving")
	case actFail:
		g.fail(failure(a))
	case actUnlock:
		g.unlock()
		g.settleOnce.Do(func() { close(g.settled) })
	case actHost:
		g.hosted(a.msg)
	case actHostFailed:
		g.hostFailed(a.reason)
	case actKill:
		s.upgrade.kill()
	case actDropLower:
		s.lower.hangUp()
		g.setLower(nil)
	case actEmpty:
		g.empty(func(l *listener) int {
			if l.Open() >= s.m.rounds {
				return 1
			}
			return 0
		})
	case actEmptyAll:
		g.hide()
		g.empty(func(l *listener) int { return l.Open() })
	case actCancel:
		s.emptyID++
		s.cancelEmpty()
	case actClose:
		return g.closeRound(s.m.rounds + 1)
	case actCloseAll:
		return g.closeRound(1)
	case actSuperseded:
		go g.deliver()
	}
	return nil
}

func failure(a action) error {
	cause := ErrRefused
	if a.stop {
		cause = ErrStopped
	}
	return fmt.Errorf("%w: %s", cause, a.reason)
}

func (g *Generation) duration(d deadline) time.Duration {
	switch d {
	case deadlineStep:
		return g.cfg.StepTimeout
	case deadlineReady:
		return g.cfg.ReadyTimeout
	case deadlineRetire:
		return g.cfg.RetireTimeout + g.cfg.StepTimeout
	}
	return 0
}

// link moves the leader link to us.
func (g *Generation) link() error {
	if g.dir.leader() == g.number {
		return nil
	}
	return g.dir.setLeader(g.number)
}

// linkBack returns it to the predecessor, unless that has taken it.
func (g *Generation) linkBack() error {
	if g.dir.leader() != g.number || g.loop.upperGen == 0 {
		return nil
	}
	return g.dir.setLeader(g.loop.upperGen)
}

// send speaks to the predecessor.
func (g *Generation) send(a action) {
	m := message{Type: a.msg, Reason: a.reason}
	switch a.msg {
	case msgAlive:
		m.Share = g.loop.plan[0].Share
	case msgLeading:
		m.Probation = Duration(g.loop.probation)
	}
	g.loop.upper.send(m)
}

// tell speaks to the successor.
func (g *Generation) tell(a action) {
	s := &g.loop
	m := message{Type: a.msg, Reason: a.reason}
	switch a.msg {
	case msgWelcome:
		if s.upgrade != nil {
			s.upgrade.keepAwake()
		}
		g.sendFiles(s.offer.files)
		m = g.welcomeMessage()
		s.offer = offer{}
	case msgClosed, msgRetired:
		m.Listeners, _ = g.listenerInfos() // an error: nothing is open
		for _, left := range s.left {
			m.Left += left.Queued + left.HalfOpen
		}
	}
	s.lower.send(m)
	if a.msg == msgRefused {
		// Its answer is the end of the conversation, or whatever it did before it
		// read this.
		g.log.Warn("refused the successor", "pid", s.lowerPID, "reason", a.reason)
	}
}

// empty starts emptying the last sockets of each listener, as many as count
// says.
func (g *Generation) empty(count func(*listener) int) {
	s := &g.loop
	s.emptyID++
	id := s.emptyID
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.RetireTimeout)
	s.cancelEmpty = cancel
	var wg sync.WaitGroup
	var mu sync.Mutex
	var left []leftBehind
	for _, l := range g.listeners {
		open := l.Open()
		for i := open - count(l); i < open; i++ {
			wg.Go(func() {
				what, err := l.Empty(ctx, i)
				if err == nil || errors.Is(err, context.Canceled) {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				left = append(left, leftBehind{Listener: l.name, Left: what})
				g.log.Warn("closing a socket that is not empty", "listener", l.name,
					"queued", what.Queued, "half_open", what.HalfOpen, "error", err)
			})
		}
	}
	go func() {
		wg.Wait()
		cancel()
		g.put(input{run: func() {
			if id != s.emptyID { // cancelled
				return
			}
			g.mu.Lock()
			s.left = append(s.left, left...)
			g.mu.Unlock()
			for _, what := range left {
				s.counters.leftBehind(what)
			}
			g.step(event{kind: evEmptied})
		}})
	}()
}

// hide lets nobody new come to sockets that close whatever happens. Where that
// cannot be done, what comes between the last look and the close is lost.
func (g *Generation) hide() {
	for _, l := range g.listeners {
		if h, ok := l.sockets.(interface{ Hide() error }); ok {
			if err := h.Hide(); err != nil {
				g.log.Warn("a socket stays reachable while it is emptied", "listener", l.name, "error", err)
			}
		}
	}
}

// closeRound closes the last socket of every listener that has at least most
// sockets open; with most 1 as often as there are any. All listeners wait for
// the same grace period.
func (g *Generation) closeRound(most int) error {
	errs := make([]error, len(g.listeners))
	var closing sync.WaitGroup
	for i, l := range g.listeners {
		g.countRace(l, most)
		closing.Go(func() {
			for l.Open() >= most && errs[i] == nil {
				errs[i] = l.CloseLast()
			}
		})
	}
	closing.Wait()
	return errors.Join(errs...)
}

// countRace notes what came to the sockets that are to be closed since the last
// look, where nothing steers connections elsewhere.
func (g *Generation) countRace(l *listener, most int) {
	if l.group == nil || l.Strategy().Steers() {
		return
	}
	queues, err := l.Queues()
	if err != nil || len(queues) < most {
		return
	}
	n := 0
	for _, q := range queues[most-1:] {
		n += q.Len
	}
	if n > 0 {
		raced := leftBehind{Listener: l.name, Left: reuseport.Left{Queued: n}}
		g.loop.left = append(g.loop.left, raced)
		g.loop.counters.leftBehind(raced)
		g.log.Warn("closing a socket that connections still come to: the strategy cannot steer", "listener", l.name,
			"strategy", l.Strategy(), "queued", n)
	}
}

// deliver waits until the application has accepted what the closed sockets
// had, and tells it to drain.
func (g *Generation) deliver() {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.StepTimeout)
	defer cancel()
	for _, l := range g.listeners {
		if err := l.Delivered(ctx); err != nil {
			g.log.Debug("the application does not accept any more", "listener", l.name, "error", err)
		}
	}
	g.log.Info("superseded: all sockets are closed")
	close(g.superseded)
}
