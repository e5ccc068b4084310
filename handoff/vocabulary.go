package handoff

import "fmt"

// The words of the state machine: its phases, the events that it is given and
// the actions that it asks for.

type phase uint8

const (
	phaseJoining   phase = iota // lock held, waiting for the predecessor's welcome
	phaseDark                   // bound or binding, chosen by no program
	phaseSharing                // ready, chosen for a share
	phaseProbation              // leads, the predecessor keeps its sockets, starved
	phaseTaking                 // leads, the predecessor empties and closes
	phaseLeading                // leads, no takeover under way
	phaseHosting                // leads, a successor has joined
	phaseStarved                // the successor leads, our sockets are open, empty but for late handshakes
	phaseRetiring               // emptying and closing, round by round
	phaseLeaving                // emptying and closing everything at once, for no successor
	phaseDraining               // no sockets, connections finish
	phaseEnded
)

var phaseNames = [...]string{"joining", "dark", "sharing", "probation", "taking", "leading",
	"hosting", "starved", "retiring", "leaving", "draining", "ended"}

func (p phase) String() string { return phaseNames[p] }

// ready reports whether a generation in this phase answers new connections.
func (p phase) ready() bool { return p >= phaseSharing && p <= phaseRetiring }

type peer uint8

const (
	peerAbsent    peer = iota // none, dead, or of no further concern
	peerTalking               // in conversation
	peerSilent                // upper only: missed a deadline, may wake up
	peerLingering             // lower only: refused, its end of the conversation not yet seen
)

type event struct {
	kind   eventKind
	n      int    // evHello: rounds; evWelcome: shares in the plan; evShare: the share
	flag   bool   // evWelcome: probation
	reason string // why, for those that end something
}

type eventKind uint8

const (
	evAlone     eventKind = iota // no predecessor lives, or has sockets any more
	evReady                      // the application accepts
	evTimeout                    // the armed deadline passed
	evPlan                       // the time of this share or of the probation is over
	evShare                      // another share, chosen by hand
	evStop                       // drain and exit
	evRollback                   // the operator, the health check or a broken peer ends this takeover
	evSteerFail                  // an attach failed
	evEmptied                    // actEmpty or actEmptyAll has finished
	evDrained                    // the application's connections are done

	evWelcome    // predecessor: come in
	evRefused    // predecessor: no, or no longer
	evLeave      // predecessor: take everything now
	evClosed     // predecessor: one round closed, more to come
	evRetired    // predecessor: the last round closed
	evUpperAlive // predecessor: still there
	evUpperEnd   // predecessor: the process is dead
	evHungUp     // predecessor: alive, but ended the conversation

	evHello      // successor: may I?
	evBound      // successor: sockets are in the groups
	evLowerAlive // successor: still there, sharing or in probation
	evLeading    // successor: all groups steered, the link moved
	evRetire     // successor: the groups are steered as they are now, close the next
	evGaveUp     // successor: it is yours again
	evLowerEnd   // successor: the conversation ended
	numEvents
)

type action struct {
	kind   actionKind
	arm    deadline
	msg    messageType
	n      int
	stop   bool // actFail: we were told to stop
	reason string
}

type actionKind uint8

const (
	actSteer      actionKind = iota // every group to our own range, which begins where the predecessor's sockets end
	actRegain                       // every group to our own range, which begins at 0
	actSteerBack                    // every group to the predecessor's range
	actShare                        // share number n of the plan
	actShareTo                      // share n/10000
	actLink                         // leader link to us
	actLinkBack                     // leader link to the predecessor, if it names us
	actSend                         // msg to the predecessor
	actTell                         // msg to the successor
	actArm                          // the one deadline; replaces the former
	actJoined                       // the application may bind
	actServing                      // Ready succeeds
	actFail                         // Ready fails, Err says why
	actUnlock                       // another generation may join
	actHost                         // note the successor's progress: joined, bound, shares, leads
	actHostFailed                   // the takeover by our successor failed
	actKill                         // end the successor if we started it: it never received anything
	actDropLower                    // forget the conversation with the successor
	actEmpty                        // start emptying the sockets of the next round
	actCancel                       // stop emptying
	actClose                        // close the sockets of the round
	actEmptyAll                     // start emptying all sockets
	actCloseAll                     // close them
	actSuperseded                   // the application may drain
	actEnd                          // nothing is left to do
	numActions
)

var actionNames = [...]string{"steer", "regain", "steer-back", "share", "share-to", "link", "link-back", "send", "tell", "arm",
	"joined", "serving", "fail", "unlock", "host", "host-failed", "kill", "drop-lower", "empty", "cancel", "close",
	"empty-all", "close-all", "superseded", "end"}

func (a action) String() string {
	switch a.kind {
	case actSend, actTell:
		return fmt.Sprintf("%s-%s", actionNames[a.kind], a.msg)
	case actHost:
		return fmt.Sprintf("%s-%s", actionNames[a.kind], a.msg)
	case actArm:
		return fmt.Sprintf("arm-%s", a.arm)
	}
	return actionNames[a.kind]
}

type deadline uint8

const (
	deadlineNone   deadline = iota
	deadlineStep            // an answer that needs no work
	deadlineReady           // the successor's warm-up
	deadlineRetire          // emptying one round
)

var deadlineNames = [...]string{"none", "step", "ready", "retire"}

func (d deadline) String() string { return deadlineNames[d] }

type actions []action

func (a *actions) do(kinds ...actionKind) {
	for _, k := range kinds {
		*a = append(*a, action{kind: k})
	}
}
func (a *actions) send(t messageType, reason string) {
	*a = append(*a, action{kind: actSend, msg: t, reason: reason})
}
func (a *actions) tell(t messageType, reason string) {
	*a = append(*a, action{kind: actTell, msg: t, reason: reason})
}
func (a *actions) arm(d deadline)     { *a = append(*a, action{kind: actArm, arm: d}) }
func (a *actions) host(t messageType) { *a = append(*a, action{kind: actHost, msg: t}) }
func (a *actions) fail(e event) {
	*a = append(*a, action{kind: actFail, stop: e.kind == evStop, reason: e.reason})
}
func (a *actions) hostFail(reason string) {
	*a = append(*a, action{kind: actHostFailed, reason: reason})
}
