package handoff

import (
	"errors"
	"syscall"
	"time"
)

// A full socket is tried again every sendRetry, and at our end for sendPatience.
const (
	sendRetry    = 20 * time.Millisecond
	sendPatience = 5 * time.Second
)

// say sends one datagram, or queues it behind those that wait for room. It
// says nothing unless the manager listens.
func (n *notifier) say(fields ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sayLocked(fields...)
}

func (n *notifier) sayLocked(fields ...string) {
	if n.role == roleMain {
		n.unsent = append(n.unsent, fields)
		n.flush()
	}
}

// flush sends in order until the manager's socket is full. What fails for
// another reason is lost: the service matters more.
func (n *notifier) flush() {
	for len(n.unsent) > 0 {
		err := n.send(n.unsent[0]...)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOBUFS) {
			if !n.retrying {
				n.retrying = true
				time.AfterFunc(sendRetry, n.retry)
			}
			return
		}
		if err != nil {
			n.log.Warn("the service manager was not notified", "fields", n.unsent[0], "error", err)
		}
		n.unsent = n.unsent[1:]
	}
}

func (n *notifier) retry() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.retrying = false
	n.flush()
}

// repeat is say for what is sent again soon: it does not queue up.
func (n *notifier) repeat(fields ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.flush(); len(n.unsent) == 0 {
		n.sayLocked(fields...)
	}
}

// run sends what is due at a time, as long as the loop responds.
func (n *notifier) run(g *Generation) {
	defer close(n.ended)
	ping := make(<-chan time.Time)
	if n.watchdog > 0 {
		t := time.NewTicker(n.watchdog / 2)
		defer t.Stop()
		ping = t.C
	}
	longer := time.NewTicker(extension / 3)
	defer longer.Stop()
	superseded, expired := g.superseded, g.expired
	for {
		select {
		case <-ping:
			if g.do(func() {}) {
				n.repeat("WATCHDOG=1")
			}
		case <-longer.C:
			if n.needsTime() && g.do(func() {}) {
				n.repeat(extend())
			}
		case <-superseded:
			superseded = nil
			n.drain("drains")
		case <-expired:
			expired = nil
			n.hurry()
		case <-n.closing:
			return
		}
	}
}

// close waits until what was said is sent, for the manager must know of a
// successor before we end. Not for long: it may not read at all.
func (n *notifier) close() {
	if n == nil {
		return
	}
	close(n.closing)
	<-n.ended
	t := time.NewTicker(sendRetry)
	defer t.Stop()
	for began := time.Now(); time.Since(began) < sendPatience; <-t.C {
		n.mu.Lock()
		n.flush()
		rest := len(n.unsent)
		n.mu.Unlock()
		if rest == 0 {
			return
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log.Warn("the service manager does not read its notifications", "unsent", n.unsent, "timeout", sendPatience)
	n.unsent = nil
}
