package thirdparty

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// withPolicy serves SSH whose listener has those options.
func withPolicy(opts drain.ListenerOptions) service {
	return func(g *generation, ln net.Listener) (end func()) {
		s := newSSH(g)
		serving(func() error { return s.Serve(g.conns, ln, opts) })
		return func() { ln.Close(); g.cut() }
	}
}

// A session is told when it ends, in time, and then it does. TestDeadline has
// those of the policy Wait without a warning.
func TestSSHWarn(t *testing.T) {
	t.Parallel()
	const timeout, before = time.Second, 700 * time.Millisecond
	s := newSite(t, withPolicy(drain.ListenerOptions{WarnBefore: before}))
	session, err := dialSSH(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer session.close()

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	report := make(chan *drain.Report, 1)
	go func() { report <- s.leader().conns.Drain(ctx) }()
	warning, err := bufio.NewReader(session.errs).ReadString('\n')
	if early := began.Add(timeout - before); time.Now().Before(early) {
		t.Errorf("warned %v too early", time.Until(early))
	}
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, session.out)
	ended := time.Now()
	r := <-report
	if want := fmt.Sprintf("This session ends at %s.\r\n", r.Deadline.Format(time.TimeOnly)); warning != want {
		t.Errorf("warned with %q, not %q", warning, want)
	}
	if ended.Before(r.Deadline) || r.Closed.Forced != 1 {
		t.Errorf("ended %v before the deadline: %+v", r.Deadline.Sub(ended), r)
	}
	s.leader().end()
}

// Sessions of the policy Cut do not wait for the deadline.
func TestSSHCut(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPolicy(drain.ListenerOptions{Policy: drain.Cut, Grace: -1}))
	session, err := dialSSH(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer session.close()
	r := s.leader().conns.Drain(t.Context())
	io.Copy(io.Discard, session.out)
	if r.TimedOut || r.Closed.Cut != 1 {
		t.Errorf("%+v", r)
	}
	s.leader().end()
}
