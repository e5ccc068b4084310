package supervise

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Defaults of the fields of Options that are zero. The times are those of
// package handoff.
const (
	DefaultStop         = "TERM"
	DefaultRestart      = "HUP"
	DefaultReadyTimeout = time.Minute
	DefaultEmptyTimeout = 10 * time.Second
	DefaultCloseTimeout = 30 * time.Second
)

// Options says what to run. Only Command must be set.
type Options struct {
	Command []string

	// Listen are the addresses on which the program listens with SO_REUSEPORT,
	// as host:port; :port is every address of the port. Without any, the
	// program replaces itself.
	Listen []string

	// Ready is what must hold before a new copy receives connections, beside
	// that it listens: tcp:HOST:PORT, http://…, exec:COMMAND or notify.
	Ready string

	Stop    string // the signal that makes a copy stop gracefully; TERM to us becomes it
	Restart string // the signal to us that restarts

	ReadyTimeout time.Duration // of a new copy, which is killed then
	EmptyTimeout time.Duration // of the old copy's queues
	CloseTimeout time.Duration // of the old copy's sockets, after its stop signal

	// NoSteer overlaps the copies and nothing more. It is the control that
	// shows what the rest is for.
	NoSteer bool

	Log *slog.Logger // default: discarded
}

// settings are checked Options.
type settings struct {
	Options
	addresses       []address
	check           check
	stop, restartOn os.Signal
}

// Check returns an error if the options make no sense, without starting
// anything.
func (o *Options) Check() error {
	_, err := o.settings()
	return err
}

func (o *Options) settings() (*settings, error) {
	s := &settings{Options: *o}
	if len(s.Command) == 0 {
		return nil, errors.New("no command to run")
	}
	for _, l := range s.Listen {
		a, err := parseAddress(l)
		if err != nil {
			return nil, fmt.Errorf("-listen: %w", err)
		}
		s.addresses = append(s.addresses, a)
	}
	var err error
	if s.check, err = parseCheck(s.Ready); err != nil {
		return nil, fmt.Errorf("-ready: %w", err)
	}
	if len(s.addresses) == 0 && (s.Ready != "" || s.Stop != "" || s.Restart != "" || s.NoSteer) {
		return nil, errors.New("-ready, -stop, -restart and -no-steer need -listen: without it the program replaces itself")
	}
	for _, a := range s.addresses {
		if a.port == s.check.port {
			return nil, fmt.Errorf("-ready %s: port %d leads to the old copy until the switch; "+
				"let the program listen on another port for the check, or use notify or exec", s.Ready, a.port)
		}
	}
	if s.stop, err = signalNamed(s.Stop, DefaultStop); err != nil {
		return nil, fmt.Errorf("-stop: %w", err)
	}
	if s.restartOn, err = signalNamed(s.Restart, DefaultRestart); err != nil {
		return nil, fmt.Errorf("-restart: %w", err)
	}
	for _, t := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"-ready-timeout", &s.ReadyTimeout, DefaultReadyTimeout},
		{"-empty-timeout", &s.EmptyTimeout, DefaultEmptyTimeout},
		{"-close-timeout", &s.CloseTimeout, DefaultCloseTimeout},
	} {
		if *t.value < 0 {
			return nil, fmt.Errorf("%s %v is negative", t.name, *t.value)
		}
		if *t.value == 0 {
			*t.value = t.zero
		}
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}
