package thirdparty

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/graceport/graceport/drain"
)

// SSH is a server of SSH sessions.
type SSH struct {
	Config *ssh.ServerConfig
	// Shell is run for each session that asks for one. It returns the exit
	// status.
	Shell func(in io.Reader, out io.Writer) uint32

	mu       sync.Mutex
	sessions map[net.Conn][]ssh.Channel
}

// Serve serves sessions until ln is closed. opts say how they end: Policy Wait,
// the default, lets users finish until the deadline; WarnBefore is how long
// before it they are told, on standard error; Cut ends them after Grace.
func (s *SSH) Serve(conns *drain.Conns, ln net.Listener, opts drain.ListenerOptions) error {
	opts.OnWarn = s.warn
	tracked := conns.ListenerWith(ln, opts)
	for {
		nc, err := tracked.Accept()
		if err != nil {
			return err
		}
		go s.serve(nc)
	}
}

// warn writes to every session of a connection.
func (s *SSH) warn(nc net.Conn, d *drain.Draining) {
	s.mu.Lock()
	sessions := slices.Clone(s.sessions[nc])
	s.mu.Unlock()
	for _, ch := range sessions {
		fmt.Fprintf(ch.Stderr(), "This session ends at %s.\r\n", d.Deadline.Format(time.TimeOnly))
	}
}

func (s *SSH) serve(nc net.Conn) {
	defer nc.Close()
	_, channels, requests, err := ssh.NewServerConn(nc, s.Config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	var wg sync.WaitGroup
	defer wg.Wait()
	for c := range channels {
		if c.ChannelType() != "session" {
			c.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		if ch, requests, err := c.Accept(); err == nil {
			wg.Go(func() { s.session(nc, ch, requests) })
		}
	}
}

func (s *SSH) session(nc net.Conn, ch ssh.Channel, requests <-chan *ssh.Request) {
	defer ch.Close()
	defer s.track(nc, ch)()
	var shell sync.Once
	for r := range requests {
		r.Reply(r.Type == "shell", nil)
		if r.Type == "shell" {
			go shell.Do(func() {
				status := s.Shell(ch, ch)
				ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
				ch.Close() // ends requests
			})
		}
	}
}

// track returns what ends it.
func (s *SSH) track(nc net.Conn, ch ssh.Channel) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		s.sessions = make(map[net.Conn][]ssh.Channel)
	}
	s.sessions[nc] = append(s.sessions[nc], ch)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sessions[nc] = slices.DeleteFunc(s.sessions[nc], func(c ssh.Channel) bool { return c == ch })
		if len(s.sessions[nc]) == 0 {
			delete(s.sessions, nc)
		}
	}
}
