package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is one that we started, or that took over from one that we started.
type process struct {
	*os.Process // by pidfd, so that a signal never hits another of the same number
	stat        stat

	exited chan struct{}   // closed when we have reaped it
	status unix.WaitStatus // valid then

	notify   sync.Once
	notified chan struct{} // closed when it has said READY=1
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// zombie reports whether it has ended and not been reaped, maybe because its
// parent is not us. It takes signals without an error then.
func (p *process) zombie() bool {
	s, err := statOf(p.Pid)
	return err != nil || s.dead()
}

// code is the exit status as a shell shows it.
func (p *process) code() int {
	if p.status.Signaled() {
		return 128 + int(p.status.Signal())
	}
	return p.status.ExitStatus()
}

func (p *process) ready() { p.notify.Do(func() { close(p.notified) }) }

// family is our children, by birth and by adoption. All of them are reaped
// here, so nothing else may wait for one.
type family struct {
	mu    sync.Mutex
	known map[int]*process
}

// start starts a command in a process group of its own: what a terminal sends
// to its foreground would otherwise arrive twice, and a copy that fails has to
// be killed with all that it started.
func (f *family) start(command, env []string) (*process, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	f.mu.Lock() // it must not be reaped before it is known
	defer f.mu.Unlock()
	p, err := os.StartProcess(path, command, &os.ProcAttr{
		Env:   env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, err
	}
	return f.know(p), nil
}

func (f *family) know(p *os.Process) *process {
	s, err := statOf(p.Pid)
	if err != nil {
		s = stat{pid: p.Pid}
	}
	k := &process{Process: p, stat: s, exited: make(chan struct{}), notified: make(chan struct{})}
	f.known[p.Pid] = k
	return k
}

// adopt makes a descendant known, whose status we get if its parent ends
// first.
func (f *family) adopt(pid int) (*process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.known[pid]; ok {
		return p, nil
	}
	if !slices.Contains(tree(os.Getpid())[1:], pid) {
		return nil, fmt.Errorf("process %d is no descendant of ours", pid)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	if err := p.Signal(syscall.Signal(0)); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return f.know(p), nil
}

// reap takes the status of every child that has ended, and reports whether
// any child is left.
func (f *family) reap() (left bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return false, nil
		case err != nil:
			return true, os.NewSyscallError("wait4", err)
		case pid == 0:
			return true, nil
		}
		if p, ok := f.known[pid]; ok {
			delete(f.known, pid)
			p.status = status
			close(p.exited)
		}
	}
}

// newest is the most recently started of our children that live.
func (f *family) newest() (s stat, ok bool) {
	for _, c := range processes() {
		if c.parent == os.Getpid() && !c.dead() && (!ok || c.later(s)) {
			s, ok = c, true
		}
	}
	return s, ok
}

// of finds which of the known processes a pid descends from.
func (f *family) of(pid int) *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	for pid > 1 {
		if p, ok := f.known[pid]; ok {
			return p
		}
		s, err := statOf(pid)
		if err != nil {
			return nil
		}
		pid = s.parent
	}
	return nil
}

// kill ends a process, its group and its descendants at once: a master that
// ends alone leaves workers that go on listening.
func (f *family) kill(p *process) {
	f.mu.Lock() // what has not been reaped keeps its number
	defer f.mu.Unlock()
	if p.ended() {
		// While a worker lives, the kernel gives the group's number to nobody
		// else. If none does, there is nobody to hit unless the number has come
		// round since and leads another group.
		_ = unix.Kill(-p.Pid, unix.SIGKILL)
		return
	}
	all := tree(p.Pid)
	_ = unix.Kill(-p.Pid, unix.SIGKILL) // an error: they have ended
	for _, pid := range all {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}
