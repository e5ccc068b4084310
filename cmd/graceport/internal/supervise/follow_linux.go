package supervise

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/graceport/graceport/handoff/sdnotify"
)

// signal acts on a signal to us.
func (s *supervisor) signal(ctx context.Context, sig os.Signal) {
	if len(s.addresses) > 0 {
		if sig == s.restartOn {
			s.askRestart(ctx)
			return
		}
		stops := sig == syscall.SIGINT || sig == syscall.SIGQUIT || sig == syscall.SIGTERM
		if sig == syscall.SIGTERM {
			sig = s.stop
		}
		if stops {
			s.stopping = sig
			s.pending = false
			if s.finished != nil {
				s.cancel(errStopping)
			}
		}
	}
	s.tell(sig)
}

// tell sends a signal to the main process or, when that has ended, to the
// newest of those that are left.
func (s *supervisor) tell(sig os.Signal) {
	if !s.main.ended() && !s.main.zombie() && s.main.Signal(sig) == nil {
		return
	}
	if c, ok := s.newest(); ok {
		if p, err := s.adopt(c.pid); err == nil {
			_ = p.Signal(sig) // an error: it has ended
		}
	}
}

// follow makes p the main process.
func (s *supervisor) follow(p *process) {
	if p == s.main {
		return
	}
	s.previous, s.main, s.told = s.main.Pid, p, false
	if len(s.addresses) == 0 { // a restart says more
		s.Log.Info("main process", "pid", p.Pid, "previous", s.previous)
	}
	if p.ended() {
		s.mainEnded()
	}
}

// mainEnded finds out who is main after the main process has ended.
func (s *supervisor) mainEnded() {
	s.told = true
	s.Log.Info("main process ended", "pid", s.main.Pid, "status", s.main.code())
	if len(s.addresses) > 0 {
		// Workers without their master.
		if sig, ok := s.stop.(unix.Signal); ok {
			_ = unix.Kill(-s.main.Pid, sig) // an error: none is left
		}
		return
	}
	// An older process that drains is left to finish; a newer one is the
	// successor, which did not say so.
	if c, ok := s.newest(); ok && c.later(s.main.stat) {
		if p, err := s.adopt(c.pid); err == nil {
			s.follow(p)
		}
	}
}

// note acts on a notification.
func (s *supervisor) note(m sdnotify.Message) {
	from := s.of(m.PID)
	if v, _ := m.Value("READY"); v == "1" {
		if from == nil {
			s.Log.Warn("READY=1 of a process that is not the program's or has ended: let a process that stays send it", "pid", m.PID)
		} else {
			from.ready()
		}
	}
	if len(s.addresses) > 0 || from == nil && m.PID != s.previous {
		return
	}
	if v, ok := m.Value("MAINPID"); ok && (m.PID == s.main.Pid || m.PID == s.previous) {
		s.succeed(v)
	}
	// Whoever supervises us has us as main process, and our descriptors.
	fields := slices.DeleteFunc(m.Fields, func(f string) bool {
		name, _, _ := strings.Cut(f, "=")
		return name == "MAINPID" || name == "BARRIER" || strings.HasPrefix(name, "FDSTORE") || strings.HasPrefix(name, "FDNAME")
	})
	if len(fields) > 0 {
		s.tellManager(fields...)
	}
}

// succeed follows the process that the main one named.
func (s *supervisor) succeed(value string) {
	pid, err := strconv.Atoi(value)
	if err == nil {
		var p *process
		if p, err = s.adopt(pid); err == nil {
			s.follow(p)
			return
		}
	}
	s.Log.Warn("MAINPID="+value+" is not followed", "error", err)
}
