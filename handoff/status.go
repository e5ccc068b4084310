package handoff

import (
	"encoding/json"
	"os"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// Status describes a generation, for operators.
type Status struct {
	Generation  int              `json:"generation"`            // its number
	PID         int              `json:"pid"`                   // 0 if it is silent and cannot be found out
	Version     string           `json:"version,omitempty"`     // Config.Version
	State       string           `json:"state"`                 // see the doc comment of the package
	Leader      bool             `json:"leader"`                // the leader link names it
	Started     time.Time        `json:"started"`               // when Open was called
	Since       time.Time        `json:"since"`                 // of the state
	Listeners   []ListenerStatus `json:"listeners"`             // in the order in which they were opened
	Successor   *Peer            `json:"successor,omitempty"`   // nil if none is joining or has taken over
	Share       int              `json:"share,omitempty"`       // of 10000, that the successor receives while sharing
	Left        []leftBehind     `json:"left,omitempty"`        // what sockets held when they were closed
	Connections json.RawMessage  `json:"connections,omitempty"` // what Config.Connections returned
	Error       string           `json:"error,omitempty"`       // as Generation.Err, or why it is silent
}

// Peer is the other generation of a takeover.
type Peer struct {
	Generation int `json:"generation"` // its number
	PID        int `json:"pid"`        // 0 if it is of a pid namespace that we cannot see
}

// ListenerStatus describes a listener.
type ListenerStatus struct {
	Name     string             `json:"name"`     // as in ListenOptions
	Network  string             `json:"network"`  // as given to Listen
	Address  string             `json:"address"`  // that it is bound to
	Strategy reuseport.Strategy `json:"strategy"` // in force
	Queues   []reuseport.Queue  `json:"queues"`   // one for each open socket
}

// Status tells how the generation is now. It waits for a step of a takeover that
// is under way.
func (g *Generation) Status() Status {
	var connections json.RawMessage
	if g.cfg.Connections != nil {
		var err error
		if connections, err = json.Marshal(g.cfg.Connections()); err != nil {
			g.log.Error("Config.Connections", "error", err)
		}
	}
	var st Status
	if !g.do(func() { st = g.status() }) {
		st = g.status() // the loop has ended, nothing changes any more
	}
	st.Connections = connections
	return st
}

// status reads what belongs to the loop.
func (g *Generation) status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.loop
	st := Status{
		Generation: g.number, PID: os.Getpid(), Version: g.cfg.Version, State: s.m.phase.String(),
		Leader: g.dir.leader() == g.number, Started: g.started, Since: s.since, Left: s.left,
		Listeners: []ListenerStatus{},
	}
	for _, l := range g.listeners {
		ls := ListenerStatus{Name: l.name, Network: l.network, Address: l.Addr().String(), Strategy: l.Strategy(), Queues: []reuseport.Queue{}}
		if queues, err := l.Queues(); err == nil && queues != nil {
			ls.Queues = queues
		}
		st.Listeners = append(st.Listeners, ls)
	}
	if s.lower != nil {
		st.Successor = &Peer{Generation: s.lowerGen, PID: s.lowerPID}
	}
	if s.m.phase == phaseSharing || s.m.phase == phaseHosting && s.m.chosen {
		st.Share = s.share
	}
	if g.err != nil {
		st.Error = g.err.Error()
	}
	return st
}
