package drain

import (
	"net"
	"sync/atomic"
	"time"
)

type listener struct {
	net.Listener
	conns *Conns
	opts  ListenerOptions
	stats *listenerStats
	http  atomic.Bool // an http.Server has had a connection
}

// listenerStats are kept by name. They are guarded by Conns.mu.
type listenerStats struct {
	index    int // in Conns.stats
	name     string
	accepted uint64
	closed   [numOutcomes]uint64
}

// Listener is ListenerWith without options.
func (c *Conns) Listener(ln net.Listener) net.Listener {
	return c.ListenerWith(ln, ListenerOptions{})
}

// ListenerWith returns a listener whose accepted connections are tracked until
// they are closed. Draining waits until the deadline for a connection that no
// [http.Server] given to Server serves, unless its Policy is another.
//
// TLS goes outside, as in tls.NewListener(conns.Listener(ln), cfg) or
// http.Server.ServeTLS. Draining closes a listener only through its
// http.Server; any other is its owner's to close.
func (c *Conns) ListenerWith(ln net.Listener, opts ListenerOptions) net.Listener {
	if opts.Grace == 0 {
		opts.Grace = c.grace
	}
	if opts.WarnBefore <= 0 {
		opts.WarnBefore = c.grace
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = true
	return &listener{Listener: ln, conns: c, opts: opts, stats: c.statsOf(opts.Name)}
}

// statsOf is called with c.mu held.
func (c *Conns) statsOf(name string) *listenerStats {
	for _, s := range c.stats {
		if s.name == name {
			return s
		}
	}
	s := &listenerStats{index: len(c.stats), name: name}
	c.stats = append(c.stats, s)
	return s
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.track(nc), nil
}

// track puts nc at the end of the ring. The links are in the connection
// itself, so that tracking costs one allocation and no hashing.
func (l *listener) track(nc net.Conn) *conn {
	c := l.conns
	tc := &conn{Conn: nc, from: l, accepted: time.Since(c.epoch)}
	tc.state.Store(stamped(tc.accepted, stateRaw))

	c.mu.Lock()
	last := c.list.prev
	tc.prev, tc.next = last, &c.list
	last.next, c.list.prev = tc, tc
	c.open++
	l.stats.accepted++
	c.mu.Unlock()
	return tc
}

// untrack is called once for each tracked connection, when it has been closed.
func (tc *conn) untrack() {
	c := tc.from.conns
	c.mu.Lock()
	tc.prev.next, tc.next.prev = tc.next, tc.prev
	tc.prev, tc.next = nil, nil
	c.open--
	tc.from.stats.closed[tc.outcome()]++
	last := c.open == 0
	c.mu.Unlock()

	if last && c.draining() {
		c.poke()
	}
}

// totals adds up what all listeners count. c.mu is held.
func (c *Conns) totals() (accepted uint64, closed [numOutcomes]uint64) {
	for _, s := range c.stats {
		accepted += s.accepted
		for i, n := range s.closed {
			closed[i] += n
		}
	}
	return accepted, closed
}
