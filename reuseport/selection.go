package reuseport

import "fmt"

// Balance is how one socket within a range is chosen.
type Balance int

const (
	// Random gives every socket of a range the same share, whatever the client
	// address and the CPU.
	Random Balance = iota
	// CPU takes the CPU that handles the SYN, modulo the range. With one
	// accepting thread pinned to each CPU, a connection stays where its
	// interrupts are.
	CPU
)

// maxSockets is the most a group can hold: struct sock_reuseport counts its
// members in 16 bits (net/core/sock_reuseport.c).
const maxSockets = 1<<16 - 1

// wholeShare is a Share of everything.
const wholeShare = 10_000

// Range is Count consecutive indices of a group's array, from First.
//
// The array is in the order of listen(2), for UDP of bind(2). When member i
// closes, the last member takes slot i. A group has at most 65535 members.
type Range struct {
	First int // from 0
	Count int // from 1
}

// Selection says which sockets of a group receive new handshakes: all go to
// To or, if Rest.Count is not zero, Share of 10000 to To and the others to
// Rest.
//
// An index beyond the group's array makes the kernel fall back to its hash
// over all members. So a Selection whose sockets have died loses nothing: the
// survivors share what arrives.
type Selection struct {
	To    Range // required
	Share int   // what To receives, in 1/10000; ignored if Rest is empty
	Rest  Range // receives what To does not; the zero value leaves everything to To
	// Balance chooses within To and within Rest. Whether a handshake goes to
	// To or to Rest is always random.
	Balance Balance
}

// validate returns an error that names the field at fault.
func (s Selection) validate() error {
	if err := s.To.validate("To"); err != nil {
		return err
	}
	if s.Share < 0 || s.Share > wholeShare {
		return fmt.Errorf("reuseport: Selection.Share is %d, want 0 to %d", s.Share, wholeShare)
	}
	if s.Balance != Random && s.Balance != CPU {
		return fmt.Errorf("reuseport: Selection.Balance is %d, want Random or CPU", s.Balance)
	}
	if s.Rest == (Range{}) {
		return nil
	}
	return s.Rest.validate("Rest")
}

func (r Range) validate(field string) error {
	switch {
	case r.First < 0:
		return fmt.Errorf("reuseport: Selection.%s.First is %d, want 0 or more", field, r.First)
	case r.Count < 1:
		return fmt.Errorf("reuseport: Selection.%s.Count is %d, want 1 or more", field, r.Count)
	case r.First > maxSockets || r.Count > maxSockets-r.First:
		return fmt.Errorf("reuseport: Selection.%s ends at %d, a group has at most %d sockets",
			field, r.First+r.Count, maxSockets)
	}
	return nil
}

// divided reports whether both To and Rest can be chosen, and otherwise which
// of the two always is. A program without the random draw is shorter.
func (s Selection) divided() (only Range, divided bool) {
	switch {
	case s.Rest.Count == 0 || s.Share == wholeShare:
		return s.To, false
	case s.Share == 0:
		return s.Rest, false
	}
	return Range{}, true
}
