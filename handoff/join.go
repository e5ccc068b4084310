package handoff

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// takeoverProtocol is the token of the HTTP Upgrade that begins a takeover,
// RFC 9110 section 7.8.
const takeoverProtocol = "graceport/1"

var errProtocol = errors.New("it does not speak " + takeoverProtocol)

// findPredecessor connects to the generation that leads and starts our
// conversation with it. A predecessor that accepts and does not answer leaves
// it waiting until Close: the machine goes on without, and it may wake up.
func (g *Generation) findPredecessor() {
	began := time.Now()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		found, pending, err := g.tryCandidates()
		switch {
		case err != nil:
			g.post(event{kind: evRefused, reason: err.Error()})
			return
		case found:
			return
		case pending == "":
			g.do(func() {
				g.mu.Lock()
				g.scattered(true)
				g.mu.Unlock()
				g.step(event{kind: evAlone})
			})
			return
		}
		// A generation is about to lead again, because its successor has just
		// died, or about to close its sockets, because it was told to stop.
		if g.phase() == phaseJoining && time.Since(began) > g.duration(deadlineRetire) {
			g.post(event{kind: evRefused, reason: "no generation leads: " + pending})
			return
		}
		select {
		case <-poll.C:
		case <-g.closing:
			return
		}
	}
}

// tryCandidates asks the generations that have a socket, the leader first, until
// one agrees. pending names one that may lead soon.
func (g *Generation) tryCandidates() (found bool, pending string, err error) {
	gens, err := g.dir.candidates()
	if err != nil {
		return false, "", err
	}
	for _, n := range gens {
		if n == g.number {
			continue
		}
		conn, err := net.Dial("unix", g.dir.join(socketName(n)))
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			continue // dead, or just gone
		}
		if err != nil {
			return false, "", fmt.Errorf("generation %d: %w", n, err)
		}
		answer, state, err := g.askToTakeOver(conn, n)
		if errors.Is(err, errProtocol) {
			return false, "", fmt.Errorf("generation %d: %w", n, err)
		}
		if err != nil {
			g.log.Warn("a generation does not speak with us", "its", n, "error", err)
			continue
		}
		if answer {
			return true, "", nil
		}
		if mayLead(state) && pending == "" {
			pending = fmt.Sprintf("generation %d is %s", n, state)
		}
	}
	return false, pending, nil
}

// mayLead reports whether a generation in this state has sockets, and so leads,
// leads again if its successor fails, or is about to close them. A joining one
// is no concern: we hold the lock.
func mayLead(state string) bool {
	switch state {
	case phaseLeading.String(), phaseHosting.String(), phaseStarved.String(), phaseRetiring.String(), phaseLeaving.String():
		return true
	}
	return false
}

// askToTakeOver requests the takeover. If the answer is yes, conn belongs to
// the loop. It waits for the answer until Close: the loop's deadline decides
// how long that is worth it.
func (g *Generation) askToTakeOver(conn net.Conn, generation int) (yes bool, state string, err error) {
	peer, err := peerCredentials(conn)
	if err == nil && peer.uid != os.Geteuid() && peer.uid != 0 {
		err = fmt.Errorf("its control socket belongs to uid %d", peer.uid)
	}
	if err != nil {
		conn.Close()
		return false, "", err
	}
	g.mu.Lock()
	g.upperPeer = peer
	g.mu.Unlock()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-g.closing:
			conn.Close()
		case <-stop:
		}
	}()
	request := "POST /v1/takeover HTTP/1.1\r\nHost: graceport\r\nConnection: Upgrade\r\nUpgrade: " + takeoverProtocol + "\r\n\r\n"
	conn.SetWriteDeadline(time.Now().Add(g.cfg.StepTimeout))
	if _, err := conn.Write([]byte(request)); err != nil {
		conn.Close()
		return false, "", err
	}
	conn.SetWriteDeadline(time.Time{})
	g.waitForAnswer(g.cfg.StepTimeout)
	defer g.waitForAnswer(0)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		conn.Close()
		return false, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer conn.Close()
		if resp.StatusCode == http.StatusUpgradeRequired {
			return false, "", fmt.Errorf("%w, but %q", errProtocol, resp.Header.Get("Upgrade"))
		}
		var refusal problem
		if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, maxBody)).Decode(&refusal); err != nil {
			return false, "", fmt.Errorf("answered %s", resp.Status)
		}
		return false, refusal.State, nil
	}
	first, _ := r.Peek(r.Buffered())
	c := newConversation(conn, peer)
	c.rights = newRightsReader(conn.(*net.UnixConn))
	ok := g.do(func() {
		g.loop.upper, g.loop.upperGen = c, generation
		if g.loop.m.phase == phaseJoining {
			g.loop.deadline.arm(g.cfg.StepTimeout)
		}
		c.send(message{Type: msgHello, Protocol: protocolVersion, PID: os.Getpid(), Version: g.cfg.Version, Generation: g.number})
	})
	if !ok {
		conn.Close()
		return false, "", net.ErrClosed
	}
	g.log.Info("joining", "predecessor", generation, "predecessor_pid", peer.pid)
	g.converse(c, &readAhead{Reader: c.rights, first: first}, g.upperEnd(c, generation))
	return true, "", nil
}

// waitForAnswer arms the deadline after which we join without the predecessor.
// 0 disarms it.
func (g *Generation) waitForAnswer(d time.Duration) {
	g.do(func() {
		if g.loop.m.phase == phaseJoining && g.loop.upper == nil {
			g.loop.deadline.arm(d)
		}
	})
}

// welcomed keeps what the predecessor told, in the loop, and returns what the
// machine needs to know of it: the number of shares and whether a probation
// follows.
func (g *Generation) welcomed(m message) (shares int, probation bool) {
	s := &g.loop
	s.plan, s.probation = g.cfg.Plan, g.cfg.Probation
	if len(m.Plan) > 0 {
		s.plan = m.Plan
	}
	if m.Probation > 0 {
		s.probation = time.Duration(m.Probation)
	}
	g.mu.Lock()
	g.welcome = m
	g.mu.Unlock()
	return len(s.plan), s.probation > 0
}
