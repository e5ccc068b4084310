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

// startSuccessor starts cmd, yielding if that is asked for and can be ended
// again. The leader then ends it after Config.Yield, the successor in Ready.
func (g *Generation) startSuccessor(cmd *exec.Cmd) (y yielding, err error) {
	if g.cfg.Yield > 0 {
		y, err = startYielding(cmd)
		if err != nil || y.on {
			return y, err
		}
		g.log.Debug("the successor cannot yield: it takes CAP_SYS_NICE or RLIMIT_NICE to end that, and that we run under SCHED_OTHER")
	}
	return y, cmd.Start()
}

// yielding is how a successor was started.
type yielding struct {
	on   bool
	nice int // when it is over
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
		g.log.Info("the successor is not ready yet and yields no longer", "successor_pid", u.pid(), "after", g.cfg.Yield)
		u.rouse(g.log)
	}
}

// rouse ends the yielding of a successor that has not ended it.
func (u *upgrade) rouse(log *slog.Logger) {
	u.mu.Lock()
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
