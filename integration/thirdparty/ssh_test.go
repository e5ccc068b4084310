package thirdparty

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/graceport/graceport/drain"
)

// hostKey is that of every generation.
var hostKey = sync.OnceValue(func() ssh.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		panic(err)
	}
	return signer
})

// newSSH returns a server whose shell answers each line by the generation.
func newSSH(g *generation) *SSH {
	cfg := &ssh.ServerConfig{NoClientAuth: true}
	cfg.AddHostKey(hostKey())
	return &SSH{Config: cfg, Shell: func(in io.Reader, out io.Writer) uint32 {
		for lines := bufio.NewScanner(in); lines.Scan(); {
			g.work()
			fmt.Fprintf(out, "%d %s\n", g.Number(), lines.Text())
		}
		return 0
	}}
}

func serveSSH(g *generation, ln net.Listener) (end func()) {
	s := newSSH(g)
	serving(func() error { return s.Serve(g.conns, ln, drain.ListenerOptions{Name: "ssh"}) })
	return func() { ln.Close(); g.cut() }
}

// sshClient holds a session until short ones reach the next generation, and then
// uses it some more.
func sshClient(l *load) {
	for !l.stopped() {
		if err := holdSession(l); err != nil {
			l.lose(err)
		}
	}
}

func holdSession(l *load) error {
	held, err := dialSSH(l.addr)
	if err != nil {
		return err
	}
	defer held.close()
	first, err := held.ask(l, "first")
	if err != nil {
		return err
	}
	moved := false
	for !moved && !l.stopped() {
		g, err := shortSession(l)
		if err != nil {
			return err
		}
		moved = g != first
	}
	for range 3 {
		if g, err := held.ask(l, "more"); err != nil {
			return err
		} else if g != first {
			return fmt.Errorf("session of generation %s answered by %s", first, g)
		}
	}
	if err := held.exit(); err != nil {
		return err
	}
	if moved {
		l.held.Add(1)
	}
	return nil
}

// shortSession returns who answered it.
func shortSession(l *load) (generation string, err error) {
	s, err := dialSSH(l.addr)
	if err != nil {
		return "", err
	}
	defer s.close()
	if generation, err = s.ask(l, "short"); err != nil {
		return "", err
	}
	return generation, s.exit()
}

// session is a connection with one session, in which a shell runs.
type session struct {
	conn *ssh.Client
	*ssh.Session
	in   io.WriteCloser
	out  *bufio.Reader
	errs io.Reader
}

func dialSSH(addr string) (s *session, err error) {
	s = &session{}
	s.conn, err = ssh.Dial("tcp", addr, &ssh.ClientConfig{
		HostKeyCallback: ssh.FixedHostKey(hostKey().PublicKey()),
		Timeout:         patience,
	})
	if err != nil {
		return nil, err
	}
	if err := s.shell(); err != nil {
		s.close()
		return nil, fmt.Errorf("shell: %w", err)
	}
	return s, nil
}

func (s *session) shell() (err error) {
	if s.Session, err = s.conn.NewSession(); err != nil {
		return err
	}
	if s.in, err = s.StdinPipe(); err != nil {
		return err
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return err
	}
	s.out = bufio.NewReader(out)
	if s.errs, err = s.StderrPipe(); err != nil {
		return err
	}
	return s.Shell()
}

// ask returns the generation that answers a line.
func (s *session) ask(l *load, line string) (generation string, err error) {
	if generation, err = s.line(line); err == nil {
		l.answered.Add(1)
	}
	return generation, err
}

func (s *session) line(line string) (generation string, err error) {
	if _, err := fmt.Fprintln(s.in, line); err != nil {
		return "", fmt.Errorf("session: write: %w", err)
	}
	answer, err := s.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("session: read: %w", err)
	}
	generation, rest, _ := strings.Cut(answer, " ")
	if rest != line+"\n" {
		return "", fmt.Errorf("session: sent %q, got %q", line, answer)
	}
	return generation, nil
}

// exit ends the shell, whose status must be 0.
func (s *session) exit() error {
	s.in.Close()
	if err := s.Wait(); err != nil {
		return fmt.Errorf("session: exit: %w", err)
	}
	return nil
}

func (s *session) close() { s.conn.Close() }
