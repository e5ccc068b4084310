package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Signals that other systems lack.
const (
	sigUSR1  = unix.SIGUSR1
	sigUSR2  = unix.SIGUSR2
	sigWINCH = unix.SIGWINCH
)

// adoptOrphans makes this process the parent of descendants whose parent has
// ended, so that they can be waited for (prctl(2), PR_SET_CHILD_SUBREAPER).
// Without it they would go to pid 1, which in a container may never reap.
func adoptOrphans() (release func(), err error) {
	// The kernel writes an int through the pointer.
	var was int32
	_, _, errno := unix.Syscall(unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&was)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("bench: %w", os.NewSyscallError("prctl", errno))
	}
	if was != 0 {
		return func() {}, nil
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("bench: %w", os.NewSyscallError("prctl", err))
	}
	return func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }, nil
}

// serverAttributes keeps a terminal's Ctrl-C from the servers: the driver
// ends them in order.
func serverAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// exitWithDriver ends this process when the driver that started it is gone,
// even if that was killed. Started by hand, there is none.
func exitWithDriver() error {
	pid, err := strconv.Atoi(os.Getenv(driverVar))
	if err != nil {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("the bench (pid %d) that started this server: %w", pid, os.NewSyscallError("pidfd_open", err))
	}
	go func() {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			n, err := unix.Poll(fds, -1)
			if n > 0 || err != nil && err != unix.EINTR {
				os.Exit(1)
			}
		}
	}()
	return nil
}

// children lists the state of every child process of this one by pid.
func children() map[int]string { return childrenOf(os.Getpid()) }

func childrenOf(parent int) map[int]string {
	found := map[int]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range dirs {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// The command name, in parentheses, may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			found[pid] = fields[0]
		}
	}
	return found
}

// strays are children that carry this driver's mark: successors that were
// started but never announced themselves, and were adopted when their parent
// ended.
func strays() (found []*process) {
	mark := []byte(driverVar + "=" + strconv.Itoa(os.Getpid()))
	for pid := range children() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			continue
		}
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(v, mark) {
				if p, err := os.FindProcess(pid); err == nil {
					found = append(found, newProcess(p, 0))
				}
				break
			}
		}
	}
	return found
}

func openDescriptors() int {
	fds, _ := os.ReadDir("/proc/self/fd")
	return len(fds)
}
