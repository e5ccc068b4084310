package handoff

import (
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// envYield tells a successor that its predecessor has it yield, and with which
// nice value it runs once it is ready. A program between the two passes it on.
const envYield = "GRACEPORT_YIELD"

// yielding is how a successor is to run until it is ready.
type yielding struct {
	on   bool
	nice int // when it is over
}

// planYield tells a successor that is about to be started that it will yield, if
// that is asked for and can be ended again. The leader then ends it after
// Config.Yield, the successor in Ready.
func (g *Generation) planYield(cmd *exec.Cmd) (y yielding) {
	if g.cfg.Yield == 0 {
		return y
	}
	y.nice, y.on = mayRouse()
	if !y.on {
		g.log.Info("the successor does not yield: to end that takes CAP_SYS_NICE or a RLIMIT_NICE of 20 (LimitNICE=20), and that we run under SCHED_OTHER")
		return y
	}
	cmd.Env = append(cmd.Env, envYield+"="+strconv.Itoa(y.nice))
	return y
}

// yieldSoon has the successor yield as soon as it runs its program, and not from
// its birth. Until it has executed that, our own thread waits for it, and with it
// the Go runtime; until the kernel has closed what it inherited, connections that
// we close are not closed for their clients. On a busy machine one that yields
// would take half a second for either. One that has not come so far when yielding
// would be over anyway never yields.
func (u *upgrade) yieldSoon(y yielding, within time.Duration) {
	begun := time.Now()
	for pause := time.Duration(0); !u.awake() && time.Since(begun) < within; pause += 100 * time.Microsecond {
		time.Sleep(pause)
		switch n := len(threadsOf(u.pid())); {
		case n == 0:
			return // it has ended
		case n > 1: // its main thread has started the others of the Go runtime
			u.idle(y)
			return
		}
	}
}

// idle does nothing once the successor is to stay awake.
func (u *upgrade) idle(y yielding) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.roused {
		idle(u.process.Pid)
		u.yield = y
	}
}

func (u *upgrade) awake() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.roused
}

// keepAwake is called before the successor is told that it may bind: from then on
// it may be ready at any time, and must not be made to yield.
func (u *upgrade) keepAwake() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.roused = true
}

// timer fires when it is over, whatever the successor does.
func (y yielding) timer(after time.Duration) (expired <-chan time.Time, stop func()) {
	if !y.on {
		return nil, func() {}
	}
	t := time.NewTimer(after)
	return t.C, func() { t.Stop() }
}

// rouseSuccessor ends the yielding of a successor that takes its time. Once it
// receives connections it has done that itself.
func (g *Generation) rouseSuccessor(u *upgrade) {
	dark := false
	g.do(func() { dark = g.loop.upgrade == u && !g.loop.m.chosen && g.loop.m.phase <= phaseHosting })
	if dark {
		g.log.Info("the successor takes its time, and yields no longer", "successor_pid", u.pid(), "after", g.cfg.Yield)
		u.rouse(g.log)
	}
}

// rouse ends the yielding of a successor that has not ended it.
func (u *upgrade) rouse(log *slog.Logger) {
	u.mu.Lock()
	u.roused = true
	process, yield := u.process, u.yield
	u.mu.Unlock()
	if !yield.on || process.Signal(syscall.Signal(0)) != nil {
		return // or it has ended, and its pid may be another's
	}
	if err := rouse(process.Pid, yield.nice); err != nil {
		log.Warn("the successor still yields to every other process", "successor_pid", process.Pid, "error", err)
	}
}

// rouseSelf ends our own yielding, if our predecessor started us so.
func (g *Generation) rouseSelf() {
	nice, err := strconv.Atoi(os.Getenv(envYield))
	if err != nil {
		return // nobody did
	}
	if err := rouse(os.Getpid(), nice); err != nil {
		g.log.Warn("this generation still yields to every other process", "error", err)
	}
}
