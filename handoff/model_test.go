package handoff

import "slices"

// The world in which two machines are explored: the older generation, which
// leads at the beginning, and the newer, which joins. It holds the kernel's
// group of sockets with the program attached to it, the conversation, the
// leader link and the lock. A world is a value that can be compared, and every
// change of it is one transition.

const (
	older, newer = 0, 1
	maxOwn       = 3 // sockets of a side
	maxPending   = 8 // actions, and messages on their way
)

// A socket in the group: which side's, and which of its sockets.
type member struct{ owner, id int8 }

// What a socket may still hold.
const (
	clean    int8 = iota // nothing
	awaited              // what it had when emptying began
	received             // handshakes since
)

type world struct {
	m     [2]machine
	alive [2]bool
	still [2]bool             // stopped for good, sockets and all (SIGSTOP)
	todo  [2][maxPending]code // actions not yet performed
	armed [2]bool

	group   [2 * maxOwn]member
	n       int8
	program program
	holds   [2][maxOwn]int8

	order    [2][maxOwn]int8 // each side's belief: its sockets in the order of the group
	open     [2]int8
	together [2]bool
	below    int8 // what the newer last knew of sockets before its own

	sent   [2][maxPending]uint8 // on their way, from that side, by their place in messages; 0 is none
	hungUp [2]bool
	link   int8
	locked bool

	readied, rolledBack bool
	// gone: stopped as the leader, for no successor. What comes to it until it
	// has closed cannot be kept.
	gone    [2]bool
	stopped [2]bool
}

// program is what the kernel runs: one range, or a share between two.
type program struct {
	first, count, rest, restCount int8 // count 0: none attached
}

// choosable marks the members of the group that may receive a handshake.
func (w *world) choosable() (c [2 * maxOwn]bool) {
	beyond := w.program.count == 0
	for _, r := range [2][2]int8{{w.program.first, w.program.count}, {w.program.rest, w.program.restCount}} {
		for i := r[0]; i < r[0]+r[1]; i++ {
			if i < w.n {
				c[i] = true
			} else {
				beyond = true // an index beyond the group: the hash over all members
			}
		}
	}
	for i := int8(0); beyond && i < w.n; i++ {
		c[i] = true
	}
	return c
}

// receive lets every socket that can be chosen receive something.
func (w *world) receive() {
	for i, yes := range w.choosable() {
		if yes && int8(i) < w.n {
			s := w.group[i]
			w.holds[s.owner][s.id] = received
		}
	}
}

func (w *world) count(owner int8) (n int8) {
	for _, s := range w.group[:w.n] {
		if s.owner == owner {
			n++
		}
	}
	return n
}

// leave takes a socket out of the group: the last member takes its slot.
func (w *world) leave(owner, id int8) {
	for i := int8(0); i < w.n; i++ {
		if w.group[i] == (member{owner, id}) {
			w.n--
			w.group[i] = w.group[w.n]
			w.group[w.n] = member{}
			w.holds[owner][id] = clean
			return
		}
	}
}

// closeLast closes the socket that a side believes to be the last, and says
// what is wrong with that.
func (w *world) closeLast(side int8) string {
	w.open[side]--
	id := w.order[side][w.open[side]]
	var violated string
	if w.readyAlive(1-side) && !w.gone[side] {
		c := w.choosable()
		for i, s := range w.group[:w.n] {
			if s == (member{side, id}) && c[i] {
				violated = "I2: a socket closed that the program can choose"
			}
		}
		if w.holds[side][id] != clean {
			violated = "I2: a socket closed that was not empty"
		}
	}
	w.leave(side, id)
	return violated
}

func (w *world) readyAlive(side int8) bool { return w.alive[side] && w.m[side].phase.ready() }

// bind appends the newer's sockets to the group.
func (w *world) bind(n int8) {
	w.below = w.n
	for id := range n {
		w.group[w.n] = member{newer, id}
		w.n++
		w.order[newer][id] = id
	}
	w.open[newer] = n
}

// steer is Generation.steer of the newer.
func (w *world) steer() {
	theirs := w.count(older)
	if theirs < w.below {
		w.together[newer] = w.open[newer] > 1
		w.below = theirs
	}
	own := w.open[newer]
	if w.together[older] && theirs > 0 {
		own = 1
	}
	w.program = program{first: theirs, count: own}
}

// moved is Generation.moved of the newer.
func (w *world) moved(closed int8) {
	w.below -= closed
	for range closed {
		if k := w.open[newer]; !w.together[newer] && k > 0 { // Listener.Moved
			o := &w.order[newer]
			last := o[k-1]
			copy(o[1:k], o[:k-1])
			o[0] = last
		}
	}
}

// scattered is Generation.scattered of the newer.
func (w *world) scattered(died bool) {
	if w.open[newer] > 1 && w.below > 0 && (died || w.together[older]) {
		w.together[newer] = true
	}
}

var messages = []messageType{"", msgHello, msgWelcome, msgRefused, msgBound, msgAlive, msgLeading, msgRetire,
	msgClosed, msgRetired, msgGaveUp, msgLeave, msgDrained}

// code is an action without its reason, in a few bits; 0 is none.
type code uint16

func encode(a action) code {
	msg := slices.Index(messages, a.msg)
	return code(1 | int(a.kind)<<1 | int(a.arm)<<7 | a.n<<9 | msg<<12)
}

func (c code) action() action {
	return action{kind: actionKind(c >> 1 & 63), arm: deadline(c >> 7 & 3), n: int(c >> 9 & 7), msg: messages[c>>12]}
}

// push gives a machine an event and keeps what it then wants to do.
func (w *world) push(side int8, e event, step stepper) {
	before := w.m[side]
	next, actions := step(before, e)
	if next.phase == phaseLeaving && before.phase != phaseLeaving {
		failed := func(k actionKind) bool {
			return slices.ContainsFunc(actions, func(a action) bool { return a.kind == k })
		}
		w.gone[side] = !failed(actFail) && (before.phase == phaseLeading || before.phase == phaseTaking || failed(actHostFailed))
	}
	w.m[side] = next
	w.todo[side] = [maxPending]code{}
	n := 0
	for _, a := range actions {
		switch a.kind {
		case actArm: // its own affair
			w.armed[side] = a.arm != deadlineNone
		case actJoined, actServing, actFail, actHost, actHostFailed, actKill, actSuperseded, actCancel:
			// Of no consequence here; one place to crash less.
		default:
			w.todo[side][n] = encode(a)
			n++
		}
	}
}

// perform does the next action of a side and says which invariant it broke.
func (w *world) perform(side int8) (done action, violated string) {
	done = w.todo[side][0].action()
	copy(w.todo[side][:], w.todo[side][1:])
	w.todo[side][maxPending-1] = 0
	switch done.kind {
	case actSteer:
		w.steer()
	case actRegain:
		w.program = program{count: w.open[side]}
	case actSteerBack:
		if theirs := w.count(older); theirs > 0 {
			w.program = program{count: theirs}
		}
	case actShare, actShareTo:
		if theirs := w.count(older); theirs > 0 {
			w.program = program{first: theirs, count: w.open[newer], restCount: theirs}
		}
	case actLink:
		w.link = side
	case actLinkBack:
		if w.link == newer {
			w.link = older
		}
	case actSend, actTell:
		if w.alive[1-side] && !w.hungUp[1-side] && !w.hungUp[side] {
			w.enqueue(side, done.msg)
		}
	case actUnlock:
		if side == newer {
			w.locked = false
			if w.m[newer].phase == phaseDraining && w.count(newer) > 0 {
				violated = "I6: the lock is free while our sockets are in the way"
			}
		}
	case actDropLower, actEnd:
		w.hungUp[side] = true
	case actEmpty:
		w.beginEmptying(side, w.open[side]-w.roundSize(side), w.open[side])
	case actEmptyAll:
		w.beginEmptying(side, 0, w.open[side])
	case actClose:
		for n := w.closing(side); n > 0 && violated == ""; n-- {
			violated = w.closeLast(side)
		}
	case actCloseAll:
		for w.open[side] > 0 && violated == "" {
			violated = w.closeLast(side)
		}
	}
	return done, violated
}

func (w *world) enqueue(side int8, msg messageType) {
	for i := range w.sent[side] {
		if w.sent[side][i] == 0 {
			w.sent[side][i] = uint8(slices.Index(messages, msg))
			return
		}
	}
	panic("model: more messages than it can hold")
}

// roundSize is how many sockets close in the round that is being emptied.
func (w *world) roundSize(side int8) int8 {
	return max(w.open[side]-int8(w.m[side].rounds)+1, 0)
}

// closing is the same after the machine has counted the round.
func (w *world) closing(side int8) int8 {
	return max(w.open[side]-int8(w.m[side].rounds), 0)
}

func (w *world) beginEmptying(side, from, to int8) {
	c := w.choosable()
	for i := from; i < to; i++ {
		id := w.order[side][i]
		for j, s := range w.group[:w.n] {
			if s == (member{side, id}) && !c[j] && w.holds[side][id] == received {
				w.holds[side][id] = awaited
			}
		}
	}
}

func (w *world) finishEmptying(side int8) {
	for i := range w.holds[side] {
		if w.holds[side][i] == awaited {
			w.holds[side][i] = clean
		}
	}
}
