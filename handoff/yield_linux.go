package handoff

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mayRouse reports whether we could end the yielding of a process that we start,
// and our nice value. It tries to take back a nice value, which takes the same
// (user_check_sched_setscheduler in kernel/sched/syscalls.c): a thread of ours
// that yielded even for a moment might keep the Go runtime waiting.
func mayRouse() (nice int, may bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		own, err := unix.SchedGetAttr(0, 0)
		if err != nil || own.Policy != unix.SCHED_NORMAL {
			runtime.UnlockOSThread()
			return
		}
		nice = int(own.Nice)
		if rouseThread(0, nice+1) != nil {
			runtime.UnlockOSThread()
			return
		}
		if rouseThread(0, nice) == nil {
			may = true
			runtime.UnlockOSThread()
		} // or this thread ends, less nice than it was
	}()
	<-done
	return nice, may
}

// threadsOf is empty when the process has ended.
func threadsOf(pid int) (tids []int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids
}

// idle has every thread of a process run under SCHED_IDLE (sched(7)), and so
// whatever they start: all other threads preempt it, and the kernel's choice of a
// processor for them takes one that only it uses for idle. A process of another
// user, or one that has ended, is left alone.
func idle(pid int) {
	for range passes {
		changed := false
		for _, tid := range threadsOf(pid) {
			if a, err := unix.SchedGetAttr(tid, 0); err == nil && a.Policy == unix.SCHED_NORMAL {
				changed = schedule(tid, unix.SchedAttr{Policy: unix.SCHED_IDLE}) == nil || changed
			}
		}
		if !changed {
			return
		}
	}
}

// rouseThread needs CAP_SYS_NICE, or RLIMIT_NICE of at least 20 less nice.
func rouseThread(tid, nice int) error {
	return schedule(tid, unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: int32(nice)})
}

// passes bound the looks at a process whose threads start threads faster than we
// look.
const passes = 100

// rouse has every thread of a process, and of the processes that it started,
// run under SCHED_OTHER that runs under SCHED_IDLE. What has ended is no error.
func rouse(pid, nice int) error {
	for range passes {
		roused, err := rouseOnce(pid, nice)
		if err != nil || roused == 0 {
			return err
		}
	}
	return fmt.Errorf("handoff: pid %d starts threads faster than they can be roused", pid)
}

func rouseOnce(pid, nice int) (roused int, err error) {
	for _, tid := range threadsOf(pid) {
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
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

func schedule(tid int, a unix.SchedAttr) error {
	a.Size = unix.SizeofSchedAttr
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(tid, &a, 0))
}
