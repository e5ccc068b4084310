package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A fleet is all generations of one service. They share one stdout, on which
// each announces itself, whoever started it.
type fleet struct {
	method  *method
	command []string
	addr    string
	dir     string

	stdout, stderr *os.File // write ends, given to every process
	read           []*os.File
	readers        sync.WaitGroup
	announcements  chan *process

	processes []*process // all that were announced or started, oldest first
	started   int        // by the driver itself
}

func newFleet(o *Options, m *method, addr string) (*fleet, error) {
	dir, err := os.MkdirTemp("", "graceport-bench-") // mode 0700
	if err != nil {
		return nil, err
	}
	f := &fleet{method: m, command: o.Command, addr: addr, dir: dir, announcements: make(chan *process, 16)}
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	errOut, stderr, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, out.Close(), stdout.Close(), os.RemoveAll(dir))
	}
	f.stdout, f.stderr, f.read = stdout, stderr, []*os.File{out, errOut}
	f.readers.Go(func() { f.readAnnouncements(out, o.Progress) })
	f.readers.Go(func() { copyLines(o.Progress, m.name+": ", errOut) })
	return f, nil
}

// start starts a process from the driver and waits until it is ready.
func (f *fleet) start(ctx context.Context) (*process, error) {
	f.started++
	args := append(f.command[1:len(f.command):len(f.command)], f.method.name,
		"-addr", f.addr, "-dir", f.dir, "-generation", strconv.Itoa(f.started))
	cmd := exec.Command(f.command[0], args...)
	cmd.Stdout, cmd.Stderr = f.stdout, f.stderr
	cmd.Env = driverEnv()
	cmd.SysProcAttr = serverAttributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	p := newProcess(cmd.Process, f.started)
	f.processes = append(f.processes, p)
	return f.announced(ctx, p)
}

// announced waits for the next process to say that it is ready: p if the
// driver started it, a new one if p is nil.
func (f *fleet) announced(ctx context.Context, p *process) (*process, error) {
	var died <-chan struct{}
	if p != nil {
		died = p.done()
	}
	select {
	case a := <-f.announcements:
		if p == nil {
			f.processes = append(f.processes, a)
			return a, nil
		}
		_ = a.os.Release() // p holds it already
		if a.pid != p.pid {
			return nil, fmt.Errorf("started pid %d, but pid %d announced itself", p.pid, a.pid)
		}
		p.generation = a.generation
		return p, nil
	case <-died:
		return nil, fmt.Errorf("the new process (pid %d) ended before it was ready", p.pid)
	case <-ctx.Done():
		return nil, fmt.Errorf("no new process got ready: %w", context.Cause(ctx))
	}
}

// stop ends the last generation as an operator would.
func (f *fleet) stop(ctx context.Context, leader *process) error {
	if err := leader.signal(syscall.SIGTERM); err != nil {
		return err
	}
	return leader.gone(ctx)
}

// close kills what still lives and gives back everything the fleet held. It
// returns the pids it had to kill.
func (f *fleet) close() (killed []int) {
	for _, p := range f.processes { // oldest first, so that each is ours to wait for
		select {
		case <-p.exited:
		default:
			killed = append(killed, p.pid)
			p.kill()
		}
	}
	for strays := killStrays(); len(strays) > 0; strays = killStrays() {
		killed = append(killed, strays...) // whose children are ours now
	}
	f.stdout.Close()
	f.stderr.Close()
	// With no writer left the readers are at the end; the deadline is for a
	// process that escaped and holds on to the pipes.
	for _, r := range f.read {
		_ = r.SetReadDeadline(time.Now().Add(time.Second))
	}
	go func() {
		f.readers.Wait()
		close(f.announcements)
	}()
	for a := range f.announcements { // of those that nobody waited for
		_ = a.os.Release()
	}
	for _, r := range f.read {
		r.Close()
	}
	_ = os.RemoveAll(f.dir)
	return killed
}
