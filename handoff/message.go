package handoff

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// protocolVersion is spoken in the takeover conversation. Both sides refuse
// another one and name this.
const protocolVersion = 1

const (
	maxState = 1 << 20
	maxBody  = 64 << 10
	// A state blob grows by a third in base64; the rest of a welcome is bounded
	// like any other message.
	maxLine = maxState/3*4 + 2*maxBody
)

type messageType string

const (
	msgHello   messageType = "hello"   // successor: protocol, pid, version
	msgWelcome messageType = "welcome" // predecessor: generation, listeners, state
	msgRefused messageType = "refused" // predecessor: reason; the takeover is over, it serves on
	msgFiles   messageType = "files"   // predecessor, before welcome: names; the descriptors come with the line
	msgBound   messageType = "bound"   // successor: listeners so far
	msgAlive   messageType = "alive"   // either, while sharing and in probation
	msgLeading messageType = "leading" // successor: every group is steered, the link moved
	msgRetire  messageType = "retire"  // successor: every group is steered as it is now; close the next
	msgClosed  messageType = "closed"  // predecessor: its listeners as they are now, what was left; more to come
	msgRetired messageType = "retired" // predecessor: the same, and none is open
	msgGaveUp  messageType = "gave-up" // successor: reason; it steered back
	msgLeave   messageType = "leave"   // predecessor: it was told to stop, take all now
	msgDrained messageType = "drained" // predecessor: its connections are done
)

// message is one line of the conversation. Which fields are set depends on
// the type; unknown fields are ignored.
type message struct {
	Type       messageType       `json:"type"`
	Protocol   int               `json:"protocol,omitempty"`
	Protocols  []int             `json:"protocols,omitempty"`
	PID        int               `json:"pid,omitempty"`
	Version    string            `json:"version,omitempty"`
	Generation int               `json:"generation,omitempty"`
	Listeners  []listenerInfo    `json:"listeners,omitempty"`
	State      map[string][]byte `json:"state,omitempty"`
	Plan       []Share           `json:"plan,omitempty"`
	Probation  Duration          `json:"probation,omitempty"`
	Share      int               `json:"share,omitempty"`
	Left       int               `json:"left,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Files      []string          `json:"files,omitempty"`

	descriptors descriptors // of Files, in their order
}

// listenerInfo is a listener as the other side needs to know it.
type listenerInfo struct {
	Name    string   `json:"name"`
	Network string   `json:"network"`
	Address string   `json:"address"`
	Inodes  []uint64 `json:"inodes"`
	// Together: these sockets will be closed all at once.
	Together bool `json:"together,omitempty"`
}

var errMessage = errors.New("handoff: malformed message")

func parseMessage(line []byte) (message, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("%w: %w", errMessage, err)
	}
	if m.Type == "" {
		return m, fmt.Errorf("%w: no type", errMessage)
	}
	if m.Share < 0 || m.Share > wholeShare {
		return m, fmt.Errorf("%w: share %d is not within 0..%d", errMessage, m.Share, wholeShare)
	}
	if err := checkPlan(m.Plan); err != nil {
		return m, fmt.Errorf("%w: %w", errMessage, err)
	}
	if m.Probation < 0 {
		return m, fmt.Errorf("%w: probation %v", errMessage, m.Probation)
	}
	if len(m.Files) > filesPerLine {
		return m, fmt.Errorf("%w: %d files in a line, at most %d", errMessage, len(m.Files), filesPerLine)
	}
	if n := stateSize(m.State); n > maxState {
		return m, fmt.Errorf("%w: state of %d bytes, at most %d", errMessage, n, maxState)
	}
	return m, nil
}

func (m message) line() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic("handoff: message: " + err.Error()) // fields of plain types only
	}
	return append(b, '\n')
}

// checkState tells why the state of a welcome cannot be sent.
func checkState(m message) error {
	if n := stateSize(m.State); n > maxState {
		return fmt.Errorf("%d bytes with its names, at most %d", n, maxState)
	}
	for name := range m.State {
		if !utf8.ValidString(name) {
			return fmt.Errorf("the name %q is not UTF-8", name)
		}
	}
	if n := len(m.line()); n > maxLine {
		return fmt.Errorf("%d bytes as JSON, at most %d: use fewer blobs, and plain names", n, maxLine)
	}
	return nil
}

func stateSize(state map[string][]byte) int {
	n := 0
	for k, v := range state {
		n += len(k) + len(v)
	}
	return n
}

// messageReader reads lines of at most maxLine bytes.
func messageReader(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), maxLine)
	return s
}
