package reuseport

// Moved tells the listener that n members of the group below its own sockets
// were closed, the last index first. Each time the kernel moved the member
// with the highest index, the last of ours, into the free slot, which is the
// one before our first. The listener keeps its sockets in the order of the
// group's array, so that CloseLast closes the one with the highest index. Queues,
// Inodes and the i of Empty follow that order.
func (l *Listener) Moved(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sockets) == 0 {
		return
	}
	n %= len(l.sockets)
	k := len(l.sockets) - n
	l.sockets = append(l.sockets[k:len(l.sockets):len(l.sockets)], l.sockets[:k]...)
}
