package handoff

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"syscall"
	"time"

	"github.com/graceport/graceport/handoff/sdnotify"
	"github.com/graceport/graceport/reuseport"
)

// Config says how a generation finds and replaces its predecessor. Only Dir
// is required.
type Config struct {
	// Dir is the control directory, one per service, such as /run/hello. It is
	// created with mode 0700 if its parent exists, and refused if it is another
	// user's or a symlink, or others could write to it or replace it.
	Dir string

	// Version of the service, shown in status and metrics.
	Version string

	// Strategy of the listeners; the zero value takes the strongest that works.
	Strategy reuseport.Strategy

	// StepTimeout bounds every answer that needs no work from the other side.
	// A process that was stopped does not count the time it was stopped.
	// 0 means 5 s.
	StepTimeout time.Duration

	// ReadyTimeout is how long we, as the predecessor, wait for a successor to
	// call Ready, and how long Open waits for another takeover to end.
	// 0 means 1 min.
	ReadyTimeout time.Duration

	// RetireTimeout bounds emptying a listening socket before it is closed
	// with what is left in it. 0 means 10 s.
	RetireTimeout time.Duration

	// Plan is the shares of new connections that we receive, one after the
	// other, before we take all; at most 100. Empty takes all at once. A plan of
	// the upgrade request replaces it.
	Plan []Share

	// Probation is how long the predecessor keeps its sockets after we lead,
	// so that everything can be given back at once. Until it is over no other
	// takeover can begin. 0 means none. That of the upgrade request replaces it.
	Probation time.Duration

	// Health is called every second while we share and in probation, with a
	// context that ends after StepTimeout. An error gives everything back to
	// the predecessor. Without one, nothing is asked.
	Health func(context.Context) error

	// MaxDraining is how many other generations may drain while we lead. When
	// a takeover ends, the oldest beyond it are told to end now, see
	// Generation.DrainNow. 0 means any number.
	MaxDraining int

	// State is asked, as the predecessor, for named blobs that the successor
	// reads with Generation.State. Together at most 1 MiB, names (UTF-8)
	// included; more is logged and not handed over. It is called once for each
	// successor that asks to take over, in a goroutine of its own. The successor
	// waits for it, and after StepTimeout goes on without.
	State func() map[string][]byte

	// Files is asked, as the predecessor, for named open files that the
	// successor gets by Generation.Files when it joins: what cannot be bound
	// twice, such as a TUN device, a pipe, a listener without SO_REUSEPORT, or a
	// connection. Any of *os.File, *net.TCPListener, *net.TCPConn, *net.UDPConn,
	// *net.UnixConn and so on will do. At most 10000, of names of at most 255
	// bytes of UTF-8; more is logged and not handed over. They are duplicated,
	// and stay the caller's to close. What is said of State goes for it too.
	Files func() map[string]syscall.Conn

	// Connections is asked for what status shows of this generation's
	// connections, for instance drain.Conns.Snapshot. It must be fit for
	// encoding/json. It may be called at any time, also several times at once.
	Connections func() any

	// Metrics answers GET /metrics on the control socket; nil answers 404.
	Metrics http.Handler

	// Command starts a successor for Upgrade: the program and its arguments.
	// Empty means our own executable's path with our arguments. The
	// environment, the working directory at the start, and the standard output
	// and error are ours.
	Command []string

	// Yield is how long a successor that Upgrade starts runs only when no other
	// process wants the processor (SCHED_IDLE, sched(7)): until it calls Ready, is
	// told that we died, or this has passed, so that a machine without an idle
	// moment delays it by as much; a quarter of a second is plenty on one that has
	// some. So its start and warm-up do not slow those that serve. It begins when
	// the program has started a thread, as the Go runtime does at once. Processes
	// that it starts meanwhile yield as long.
	//
	// It takes CAP_SYS_NICE or a RLIMIT_NICE of 20 (in a unit: LimitNICE=20), or the
	// kernel would not let it end; without, or if we are not under SCHED_OTHER
	// ourselves, the successor is started as usual. 0 means as usual.
	Yield time.Duration

	// Notify is told how this generation is, as systemd wants to know it of a
	// unit with Type=notify; see Run, which sets it from the environment. nil
	// tells nobody.
	Notify *sdnotify.Notifier

	// Linger has Run stay until a stop is asked for, after this generation has
	// handed over, or back, and drained: where a supervisor would take its end
	// for that of the service and start it again, as a container's does.
	Linger bool

	// Logger; nil discards.
	Logger *slog.Logger

	// step is called before every action of the state machine, and after the
	// last one for an event, in tests.
	step func(g *Generation, name string)
}

func (c *Config) setDefaults() error {
	for _, d := range []struct {
		field *time.Duration
		name  string
		value time.Duration
	}{
		{&c.StepTimeout, "StepTimeout", 5 * time.Second},
		{&c.ReadyTimeout, "ReadyTimeout", time.Minute},
		{&c.RetireTimeout, "RetireTimeout", 10 * time.Second},
		{&c.Probation, "Probation", 0},
		{&c.Yield, "Yield", 0},
	} {
		if *d.field < 0 {
			return fmt.Errorf("handoff: Config.%s is negative: %v", d.name, *d.field)
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.MaxDraining < 0 {
		return fmt.Errorf("handoff: Config.MaxDraining is negative: %d", c.MaxDraining)
	}
	if err := checkPlan(c.Plan); err != nil {
		return fmt.Errorf("handoff: Config.Plan: %w", err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.step == nil {
		c.step = func(*Generation, string) {}
	}
	return nil
}

var (
	// ErrBusy is matched when a takeover is under way already: by Upgrade at
	// once, by Open when it has waited in vain.
	ErrBusy = errors.New("another takeover is under way")
	// ErrRefused is matched when our takeover has ended before we led alone: the
	// predecessor refused or ended it, it was rolled back, a step of it failed, or
	// Health found us unwell. The predecessor, if there is one, serves on.
	ErrRefused = errors.New("the predecessor refused")
	// ErrStopped is matched by the context.Cause of the context that Run ended
	// because of a stop or DrainNow, and by the error of Listen, Ready and Upgrade
	// if Stop or Close was called before they were done.
	ErrStopped = errors.New("stopped")
	// ErrNotLeading is matched by what only the leader can do.
	ErrNotLeading = errors.New("this generation does not lead")
	// ErrUpgradeFailed is matched when a successor could not be started, or was
	// and does not lead. The old generation serves on, unless it was told to stop.
	ErrUpgradeFailed = errors.New("upgrade failed")
)
