package drain

import "net"

type listener struct {
	net.Listener
	conns *Conns
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.track(nc), nil
}

// track puts nc at the end of the ring. The links are in the connection
// itself, so that tracking costs one allocation and no hashing.
func (c *Conns) track(nc net.Conn) *conn {
	tc := &conn{Conn: nc, owner: c}
	tc.state.Store(c.stamp(stateRaw))

	c.mu.Lock()
	last := c.list.prev
	tc.prev, tc.next = last, &c.list
	last.next, c.list.prev = tc, tc
	c.open++
	c.accepted++
	c.mu.Unlock()
	return tc
}

// untrack is called once for each tracked connection, when it has been closed.
func (c *Conns) untrack(tc *conn) {
	c.mu.Lock()
	tc.prev.next, tc.next.prev = tc.next, tc.prev
	tc.prev, tc.next = nil, nil
	c.open--
	c.closed[tc.outcome()]++
	last := c.open == 0
	c.mu.Unlock()

	if last && c.draining() {
		c.poke()
	}
}
