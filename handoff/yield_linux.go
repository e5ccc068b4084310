package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// startYielding starts cmd under SCHED_IDLE (sched(7)): all other threads preempt
// it, and the kernel's choice of a processor for them takes one that only it uses
// for idle. Where we could not end that again, nothing is started.
func startYielding(cmd *exec.Cmd) (y yielding, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// A process inherits from the thread that starts it. That thread has a way
		// back only with privilege, so we try; without, it ends with this goroutine.
		runtime.LockOSThread()
		own, getErr := unix.SchedGetAttr(0, 0)
		if getErr != nil || own.Policy != unix.SCHED_NORMAL {
			runtime.UnlockOSThread()
			return
		}
		nice := int(own.Nice)
		if yieldThread(0) != nil || rouseThread(0, nice) != nil || yieldThread(0) != nil {
			return
		}
		cmd.Env = append(cmd.Env, envYield+"="+strconv.Itoa(nice))
		y = yielding{on: true, nice: nice}
		err = cmd.Start()
		if rouseThread(0, nice) == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
	return y, err
}

// yieldSelf has every thread of this process run under SCHED_IDLE from now on.
func yieldSelf() {
	tasks, _ := os.ReadDir("/proc/self/task") // none without /proc
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			_ = yieldThread(tid) // it may have ended
		}
	}
}

func yieldThread(tid int) error {
	return schedule(tid, unix.SchedAttr{Policy: unix.SCHED_IDLE})
}

// rouseThread needs CAP_SYS_NICE, or RLIMIT_NICE of at least 20 less nice.
func rouseThread(tid, nice int) error {
	return schedule(tid, unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: int32(nice)})
}

func schedule(tid int, a unix.SchedAttr) error {
	a.Size = unix.SizeofSchedAttr
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(tid, &a, 0))
}

// rousePasses bound the looks at a process whose threads start threads faster
// than we look.
const rousePasses = 100

// rouse has every thread of a process, and of the processes that it started,
// run under SCHED_OTHER that runs under SCHED_IDLE. What has ended is no error.
func rouse(pid, nice int) error {
	for range rousePasses {
		roused, err := rouseOnce(pid, nice)
		if err != nil || roused == 0 {
			return err
		}
	}
	return fmt.Errorf("handoff: pid %d starts threads faster than they can be roused", pid)
}

func rouseOnce(pid, nice int) (roused int, err error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, unlessEnded(err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		if a, err := unix.SchedGetAttr(tid, 0); err == nil && a.Policy == unix.SCHED_IDLE {
			if err := unlessEnded(rouseThread(tid, nice)); err != nil {
				return roused, err
			}
			roused++
		}
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, tid)) // none without CONFIG_PROC_CHILDREN
		for _, child := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(child); err == nil {
				n, err := rouseOnce(child, nice)
				if roused += n; err != nil {
					return roused, err
				}
			}
		}
	}
	return roused, nil
}

func unlessEnded(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
