package drain_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
	"golang.org/x/sys/unix"
)

const (
	perTable  = 20_000 // connections; each table of a server listens at its own address
	spare     = 500    // descriptors beside the connections
	mostApart = 64     // tables, each with a thread
)

// room is how connections fit into the limits of the machine.
type room struct {
	apart bool // not all into one table of descriptors
	each  int  // so many into one table, or to one address
}

func (r room) tables(n int) int { return (n + r.each - 1) / r.each }

func (r room) String() string {
	if r.apart {
		return "apart"
	}
	return "together"
}

// roomFor raises the limit of descriptors, of this process and its children, or
// says what is to be done where that is not allowed.
func roomFor(t *testing.T, n int) room {
	t.Helper()
	need := uint64(n + spare)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(os.NewSyscallError("getrlimit", err))
	}
	if was.Cur >= need {
		return room{each: perTable}
	}
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: need, Max: max(was.Max, need)})
	if err == nil {
		t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was) })
		return room{each: perTable}
	}
	r := room{apart: true, each: min(perTable, int(was.Cur)-spare)}
	if r.each <= 0 || r.tables(n) > mostApart {
		t.Skipf("%d connections need %d descriptors, the limit is %d: %v", n, need, was.Cur, os.NewSyscallError("setrlimit", err))
	}
	probe, err := newTable(true)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		t.Skipf("%d connections need tables of descriptors apart: %v", n, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	probe.end()
	return r
}

// TestManyConnections is with idle connections of an http.Server, also with more
// than the process may have descriptors: see table.
func TestManyConnections(t *testing.T) {
	sizes := []int{15_000, many}
	if testing.Short() || raceEnabled {
		sizes = []int{manyShort}
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) { manyConnections(t, n, roomFor(t, n)) })
	}
}

func manyConnections(t *testing.T, n int, r room) {
	bare := connectMany(t, "bare", n, r)
	without := bare.ask(t, "memory")
	bare.close()

	c := connectMany(t, "drain", n, r)
	with := c.ask(t, "memory")
	snap := c.ask(t, "snapshot")
	forced := c.ask(t, "force")
	objects := with.Objects - without.Objects
	used := objects + with.Stacks - without.Stacks
	mb := func(bytes int64) float64 { return float64(bytes) / 1e6 }
	t.Logf("%d connections, %s: %.1f MB of objects beyond the bare server's %.1f MB "+
		"(with stacks %+.1f beyond %.1f, all in use %+.1f, of the system %+.1f)",
		n, r, mb(objects), mb(without.Objects), mb(used), mb(without.Objects+without.Stacks),
		mb(with.InUse-without.InUse), mb(with.Sys-without.Sys))
	t.Logf("a snapshot in %v, all closed by force in %v, of the processors %v", snap.Took, forced.Took, forced.CPU)
	if objects < int64(n)*100 || used > mostMemory {
		t.Errorf("drain uses %d bytes, %d of them objects; want at most %d and no less than there is", used, objects, mostMemory)
	}
	if snap.Open != (drain.States{Idle: n}) || snap.Took > mostForSnap {
		t.Errorf("a snapshot takes %v, want %v: %+v", snap.Took, mostForSnap, snap.Open)
	}
	// On a busy machine it takes longer than the processors work for it.
	slow := forced.Took > mostForForce && forced.CPU > mostForForce*time.Duration(runtime.NumCPU())
	if r := forced.Report; r.Closed != (drain.Outcomes{Forced: uint64(n)}) || forced.Open != (drain.States{}) || slow {
		t.Errorf("took %v, want %v; left open %+v, report %+v", forced.Took, mostForForce, forced.Open, r)
	}
	c.close()

	c = connectMany(t, "drain", n, r)
	report := c.ask(t, "drain").Report
	t.Logf("drained in %.2f s", report.Seconds)
	if report.Err() != nil || report.Closed != (drain.Outcomes{Idle: uint64(n)}) || report.Seconds < 1.9*manyGrace.Seconds() {
		t.Errorf("report %+v", report)
	}
	if ended := c.ended(); ended != n {
		t.Errorf("%d of %d clients saw the end", ended, n)
	}
}
