package thirdparty

import "sync"

// A Feed is events, numbered from 1. Generations share it, like a database.
type Feed struct {
	mu     sync.Mutex
	events []string
	more   chan struct{} // closed by Append
}

// Append adds an event.
func (f *Feed) Append(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

// After returns the events after the one of that number, and a channel that is
// closed when there are more.
func (f *Feed) After(number int) (events []string, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == nil {
		f.more = make(chan struct{})
	}
	return f.events[min(max(number, 0), len(f.events)):], f.more
}
