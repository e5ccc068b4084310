package handoff_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// policies counts the threads of a process under SCHED_IDLE and under others.
func policies(t *testing.T, pid int) (idle, others int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("threads of pid %d: %v, %v", pid, tasks, err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(filepath.Base(task))
		a, err := unix.SchedGetAttr(tid, 0)
		switch {
		case err != nil: // it has ended
		case a.Policy == unix.SCHED_IDLE:
			idle++
		default:
			others++
		}
	}
	return idle, others
}

// mayRouse tries what it takes to end yielding, on a thread of its own.
func mayRouse() (may bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: there may be no way back
		to := func(policy uint32) error {
			return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy}, 0)
		}
		may = to(unix.SCHED_IDLE) == nil && to(unix.SCHED_NORMAL) == nil
	}()
	<-done
	return may
}

// roused waits until no thread of a process yields.
func roused(t *testing.T, pid int) {
	t.Helper()
	eventually(t, "no thread of the successor yields", func() bool {
		idle, _ := policies(t, pid)
		return idle == 0
	})
}

func needsRousing(t *testing.T) {
	t.Helper()
	if !mayRouse() {
		t.Skip("no CAP_SYS_NICE, and RLIMIT_NICE is below 20")
	}
}

// inTheDark starts a service and the upgrade to a successor that never gets
// ready, and returns both pids when it has joined.
func inTheDark(t *testing.T, yield time.Duration) (leader *process, successor int) {
	c := newService(t)
	c.Yield, c.Ready = yield, 2*patience
	c.Behaviour = map[int]string{2: "unready"}
	leader = start(t, c)
	leader.ready()
	leader.signal(syscall.SIGHUP)
	return leader, joined(t, c.Dir)
}

// joined waits until the successor is in the dark.
func joined(t *testing.T, dir string) (successor int) {
	t.Helper()
	eventually(t, "the successor is in the dark", func() bool {
		st, err := statusOf(dir, "gen-2.sock")
		successor = st.PID
		return err == nil && len(st.Listeners) > 0
	})
	return successor
}

func TestSuccessorYields(t *testing.T) {
	needsRousing(t)
	leader, successor := inTheDark(t, patience)
	if idle, others := policies(t, successor); idle == 0 || others > 0 {
		t.Errorf("of the successor %d threads yield and %d do not", idle, others)
	}
	if idle, _ := policies(t, leader.cmd.Process.Pid); idle > 0 {
		t.Errorf("%d threads of the leader yield", idle)
	}
}

// A machine that is never idle would keep it from ever getting ready.
func TestYieldEnds(t *testing.T) {
	needsRousing(t)
	_, successor := inTheDark(t, 50*time.Millisecond)
	roused(t, successor)
}

func TestYieldEndsWithPredecessor(t *testing.T) {
	needsRousing(t)
	leader, successor := inTheDark(t, patience)
	leader.signal(os.Kill)
	leader.wait()
	roused(t, successor)
}

// A leader that is stopped before its successor has joined leaves it alone.
func TestYieldEndsWhenLeftAlone(t *testing.T) {
	needsRousing(t)
	c := newService(t)
	c.Yield, c.Ready = patience, 2*patience
	c.Behaviour = map[int]string{2: "hang"}
	leader := start(t, c)
	leader.ready()
	leader.signal(syscall.SIGHUP)
	successor := startedBy(t, leader)
	t.Cleanup(func() { syscall.Kill(successor, syscall.SIGKILL) })
	leader.signal(syscall.SIGTERM)
	roused(t, successor)
}

// startedBy waits for the successor that a leader starts.
func startedBy(t *testing.T, leader *process) (successor int) {
	t.Helper()
	eventually(t, "the successor is started", func() bool {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", leader.cmd.Process.Pid))
		for _, list := range lists {
			b, _ := os.ReadFile(list)
			for _, pid := range strings.Fields(string(b)) {
				// Package os starts another child, to find out what it can do.
				if env, _ := os.ReadFile("/proc/" + pid + "/environ"); bytes.Contains(env, []byte("GRACEPORT_YIELD=")) {
					successor, _ = strconv.Atoi(pid)
				}
			}
		}
		return successor > 0
	})
	return successor
}

// What has not come as far as starting a thread may still be executing its
// program, and hold copies of our connections. So a shell does not yield, but
// what it then executes does.
func TestYieldBeginsWithThreads(t *testing.T) {
	needsRousing(t)
	c := newService(t)
	c.Yield, c.Ready = patience, 2*patience
	c.Behaviour = map[int]string{2: "unready"}
	next := filepath.Join(c.Dir, "go-on")
	c.Command = []string{"sh", "-c", `while [ ! -e "$1" ]; do sleep 0.01; done; exec "$0"`, os.Args[0], next}
	leader := start(t, c)
	leader.ready()
	leader.signal(syscall.SIGHUP)
	successor := startedBy(t, leader)
	for range 50 {
		if idle, others := policies(t, successor); idle > 0 || others != 1 {
			t.Fatalf("of the shell %d threads yield and %d do not", idle, others)
		}
		time.Sleep(time.Millisecond)
	}
	if err := os.WriteFile(next, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	joined(t, c.Dir)
	if idle, others := policies(t, successor); idle == 0 || others > 0 {
		t.Errorf("of the successor %d threads yield and %d do not", idle, others)
	}
}

// One that is ready runs as its predecessor does, and so does what it started.
func TestYieldEndsWhenReady(t *testing.T) {
	needsRousing(t)
	c := newService(t)
	c.Yield = patience
	c.Behaviour = map[int]string{2: "helped"}
	service := start(t, c)
	l := startLoad(t, service.ready().addrs...)
	service.signal(syscall.SIGHUP)
	var helper int
	if _, err := fmt.Sscanf(service.expect("helper "), "helper %d", &helper); err != nil {
		t.Fatal(err)
	}
	successor := service.ready()
	for _, pid := range []int{successor.pid, helper} {
		if idle, others := policies(t, pid); idle > 0 || others == 0 {
			t.Errorf("of pid %d %d threads yield and %d do not", pid, idle, others)
		}
	}
	l.servedBy(2, 50)
	l.endWithoutLoss()
}

// Without the privilege a service is upgraded as if nothing were asked for.
func TestYieldWithoutPrivilege(t *testing.T) {
	if mayRouse() {
		t.Skip("this user has the privilege")
	}
	_, successor := inTheDark(t, patience)
	if idle, others := policies(t, successor); idle > 0 || others == 0 {
		t.Errorf("of the successor %d threads yield and %d do not", idle, others)
	}
}
