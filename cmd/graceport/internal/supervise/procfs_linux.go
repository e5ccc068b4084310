package supervise

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// stat is what /proc/PID/stat tells (proc_pid_stat(5)).
type stat struct {
	pid, parent int
	state       string
	began       uint64 // in clock ticks since boot
}

func (s stat) dead() bool { return s.state == "Z" || s.state == "X" }

// later reports whether s began after o. The kernel hands out pids upwards,
// which decides within one tick.
func (s stat) later(o stat) bool {
	return s.began > o.began || s.began == o.began && s.pid > o.pid
}

func statOf(pid int) (stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	// The command's name, in parentheses, may hold anything. After it come the
	// fields from the third on.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat has only %d fields", pid, len(fields))
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	began, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return stat{pid: pid, parent: parent, state: fields[0], began: began}, nil
}

// processes lists all that /proc shows.
func processes() []stat {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1) // what was read before an error counts
	var all []stat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := statOf(pid); err == nil { // an error: it has ended
			all = append(all, s)
		}
	}
	return all
}

// tree lists a process and its descendants, parents first.
func tree(root int) []int {
	children := map[int][]int{}
	for _, s := range processes() {
		children[s.parent] = append(children[s.parent], s.pid)
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// ownProcfs returns an error if /proc belongs to another PID namespace, where
// none of our numbers is right.
func ownProcfs() error {
	link, err := os.Readlink("/proc/self")
	if err != nil {
		return fmt.Errorf("/proc is needed: %w", err)
	}
	if link != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("/proc shows another PID namespace (we are pid %d, it says %s): mount proc in ours", os.Getpid(), link)
	}
	return nil
}
