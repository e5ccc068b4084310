package supervise

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/graceport/graceport/handoff/sdnotify"
	"github.com/graceport/graceport/reuseport"
)

// supervisor is one run. Its loop owns the fields that have no other owner.
type supervisor struct {
	*settings
	family
	strategy reuseport.Strategy
	env      []string           // of each copy
	manager  *sdnotify.Notifier // of whoever supervises us

	main     *process // whose status is ours in the end, and who gets the signals
	previous int      // the pid of the main process before
	told     bool     // its end has been dealt with

	stopping os.Signal // what main was told, or nil
	pending  bool      // another restart is asked for
	cancel   context.CancelCauseFunc
	leads    chan *process // from a restart: this one is main
	finished chan error    // from a restart; nil if none is under way
}

// errStopping ends a restart that is under way when the service is stopped.
var errStopping = errors.New("told to stop")

// Run runs the command until it and everything that it left to us has ended,
// and returns the exit status of its last main process, 128 and the signal if
// one killed it. It takes over the signals of this process and all of its
// children, so there can be one at a time. The end of ctx has the effect of
// TERM.
func Run(ctx context.Context, o *Options) (status int, err error) {
	set, err := o.settings()
	if err != nil {
		return 0, err
	}
	s := &supervisor{settings: set, family: family{known: map[int]*process{}}, leads: make(chan *process)}
	if err := ownProcfs(); err != nil {
		return 0, err
	}
	if err := s.chooseStrategy(ctx); err != nil {
		return 0, err
	}
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return 0, os.NewSyscallError("prctl PR_SET_CHILD_SUBREAPER", err)
		}
	}
	if s.manager, err = sdnotify.New(); err != nil {
		return 0, err
	}
	defer s.manager.Close()
	name := "@graceport/run/" + strconv.Itoa(os.Getpid()) + "/" + rand.Text()
	socket, err := sdnotify.Listen(name)
	if err != nil {
		return 0, err
	}
	defer socket.Close()
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, sdnotify.EnvSocket+"=") {
			s.env = append(s.env, v)
		}
	}
	s.env = append(s.env, sdnotify.EnvSocket+"="+name)
	return s.loop(ctx, socket)
}

// chooseStrategy finds out whether steering works, before anything is started
// that relies on it.
func (s *supervisor) chooseStrategy(ctx context.Context) error {
	s.strategy = reuseport.None
	if len(s.addresses) == 0 || s.NoSteer {
		return nil
	}
	report, err := reuseport.Probe(ctx)
	if err != nil {
		return err
	}
	if !report.Strategy.Steers() {
		return fmt.Errorf("no steering here: %v", report.Unavailable)
	}
	s.strategy = report.Strategy
	for _, h := range report.Hints {
		if h.ID == "CVE-2026-52910" {
			s.Log.Warn(h.Text, "do", h.Do)
		}
	}
	return nil
}

// start starts a copy.
func (s *supervisor) start() (*process, error) { return s.family.start(s.Command, s.env) }

func (s *supervisor) loop(ctx context.Context, socket *sdnotify.Socket) (int, error) {
	signals, children := make(chan os.Signal, 32), make(chan os.Signal, 1)
	signal.Notify(signals, forwarded...)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(signals)
	defer signal.Stop(children)
	// A log that nobody reads any more must not end us. Ignoring PIPE would be
	// inherited by the program.
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	defer signal.Stop(unread)
	var err error
	if s.main, err = s.start(); err != nil {
		return 0, err
	}
	s.Log.Info("started", "pid", s.main.Pid)
	over := make(chan struct{})
	defer close(over)
	notes := receive(socket, over)
	if len(s.addresses) > 0 {
		s.begin(ctx, s.first)
	}
	ended := ctx.Done()
	for {
		select {
		case <-children:
		case sig := <-signals:
			s.signal(ctx, sig)
		case <-ended:
			ended = nil
			s.signal(ctx, syscall.SIGTERM)
		case m := <-notes:
			s.note(m)
		case next := <-s.leads:
			s.follow(next)
			if s.stopping != nil {
				s.tell(s.stopping)
			}
		case err := <-s.finished:
			s.done(ctx, err)
		}
		left, err := s.reap()
		if err != nil {
			return 0, err
		}
		if s.main.ended() && !s.told {
			s.mainEnded()
		}
		// A restart or a check that is under way may start a process yet, and
		// wait for us to reap it.
		if !left && s.finished == nil {
			return s.status(), nil
		}
	}
}

// receive passes messages on until the socket is closed or over is.
func receive(socket *sdnotify.Socket, over <-chan struct{}) <-chan sdnotify.Message {
	notes := make(chan sdnotify.Message)
	go func() {
		for {
			m, err := socket.Receive()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // it concerns one message
			}
			select {
			case notes <- m:
			case <-over:
				return
			}
		}
	}()
	return notes
}

// status is that of the last main process.
func (s *supervisor) status() int {
	if !s.main.ended() {
		// Its parent took its status, and is not ours to ask.
		s.Log.Error("the main process ended with a status that is not known here", "pid", s.main.Pid)
		return 1
	}
	return s.main.code()
}

// begin runs the first start or a restart beside the loop, one at a time.
func (s *supervisor) begin(ctx context.Context, job func(context.Context) error) {
	ctx, s.cancel = context.WithCancelCause(ctx)
	finished := make(chan error, 1)
	s.finished = finished
	go func() { finished <- job(ctx) }()
}

// done is the end of the first start or of a restart.
func (s *supervisor) done(ctx context.Context, err error) {
	s.cancel(nil)
	s.finished = nil
	switch {
	case err != nil && s.stopping == nil && s.main.ended():
		s.Log.Error(err.Error())
	case err != nil && s.stopping == nil:
		s.Log.Error(err.Error(), "serving", s.main.Pid)
	case err == nil:
		s.tellManager("READY=1")
	}
	if s.pending {
		s.pending = false
		s.askRestart(ctx)
	}
}

// askRestart restarts now, or once more after the one that is under way: what
// the program reads at its start may have changed since.
func (s *supervisor) askRestart(ctx context.Context) {
	switch {
	case s.stopping != nil || s.main.ended():
		s.Log.Warn("no restart: the program was told to stop, or has ended")
	case s.finished != nil:
		s.pending = true
	default:
		old := s.main
		s.begin(ctx, func(ctx context.Context) error { return s.restart(ctx, old) })
	}
}

func (s *supervisor) tellManager(fields ...string) {
	if err := s.manager.Notify(fields...); err != nil {
		s.Log.Warn("notify our own manager", "error", err)
	}
}
