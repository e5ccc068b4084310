package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A fleet is all generations of one service. They share one stdout, on which
// each announces itself, whoever started it.
type fleet struct {
	method   *method
	scenario *scenario
	options  *Options
	addr     string // where the servers listen
	target   target // where the clients go
	dir      string

	stdout, stderr *os.File // write ends, given to every process
	read           []*os.File
	readers        sync.WaitGroup
	announcements  chan *process

	processes []*process // all that were announced or started, oldest first
	started   int        // by the driver itself
}

func newFleet(o *Options, m *method, s *scenario) (f *fleet, err error) {
	dir, err := os.MkdirTemp("", "graceport-bench-") // mode 0700
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	f = &fleet{method: m, scenario: s, options: o, dir: dir, announcements: make(chan *process, 16)}
	if err := f.locate(); err != nil {
		return nil, err
	}
	if s.tls {
		if err := writeCertificate(certificateFile(dir)); err != nil {
			return nil, fmt.Errorf("bench: certificate: %w", err)
		}
		if f.target.tls, err = clientTLS(certificateFile(dir)); err != nil {
			return nil, err
		}
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errOut, stderr, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, out.Close(), stdout.Close())
	}
	f.stdout, f.stderr, f.read = stdout, stderr, []*os.File{out, errOut}
	f.readers.Go(func() { f.readAnnouncements(out, o.Progress) })
	f.readers.Go(func() { copyLines(o.Progress, m.name+": ", errOut) })
	return f, nil
}

// locate chooses where the servers listen and the clients go.
func (f *fleet) locate() (err error) {
	s := f.scenario
	f.target = target{network: s.network, path: s.path}
	if t := f.options.Target; t != nil && f.method.name == targetMethod {
		f.addr = t.Addr
		f.target.addr, f.target.path, f.target.generations = t.Addr, t.Path, newGenerations(t.GenerationHeader)
		return nil
	}
	switch {
	case s.network == "unix":
		f.addr = filepath.Join(f.dir, "service.sock")
		f.target.addr = f.addr
	case s.wire:
		f.addr, err = freeAddress(wireServer)
		_, port, _ := net.SplitHostPort(f.addr)
		f.target.addr = net.JoinHostPort(wireFarSide, port)
	default:
		f.addr, err = freeAddress("127.0.0.1")
		f.target.addr = f.addr
	}
	return err
}

// start starts a process from the driver and waits until it is ready.
func (f *fleet) start(ctx context.Context) (*process, error) {
	f.started++
	if f.method.start != nil {
		return f.method.start(ctx, f)
	}
	command := f.method.command
	if command == nil {
		command = append(f.options.Command[:len(f.options.Command):len(f.options.Command)], f.method.name)
	}
	args := append(command[1:len(command):len(command)],
		"-addr", f.addr, "-dir", f.dir, "-generation", strconv.Itoa(f.started), "-scenario", f.scenario.name)
	if f.options.CloseEarly {
		args = append(args, "-close-early")
	}
	p, err := f.spawn(command[0], args...)
	if err != nil {
		return nil, err
	}
	return f.announced(ctx, p)
}

// spawn starts a process and does not wait.
func (f *fleet) spawn(name string, args ...string) (*process, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = f.stdout, f.stderr
	cmd.Env = driverEnv()
	cmd.SysProcAttr = serverAttributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	p := newProcess(cmd.Process, f.started)
	f.processes = append(f.processes, p)
	return p, nil
}

// announced waits for the next process to say that it is ready: p if the
// driver started it, a new one if p is nil.
func (f *fleet) announced(ctx context.Context, p *process) (*process, error) {
	var died <-chan struct{}
	if p != nil {
		died = p.done()
	}
	for {
		select {
		case a := <-f.announcements:
			if p == nil {
				f.processes = append(f.processes, a)
				return a, nil
			}
			_ = a.os.Release() // p holds it already
			if a.pid == p.pid {
				p.generation = a.generation
				return p, nil
			}
			// One that is meant to crash may have been dead already when its
			// last words were read.
			if f.scenario.failing == "" {
				return nil, fmt.Errorf("started pid %d, but pid %d announced itself", p.pid, a.pid)
			}
		case <-died:
			return nil, fmt.Errorf("the new process (pid %d) ended before it was ready", p.pid)
		case <-ctx.Done():
			return nil, fmt.Errorf("no new process got ready: %w", context.Cause(ctx))
		}
	}
}

// stop ends the last generation as an operator would.
func (f *fleet) stop(ctx context.Context, leader *process) error {
	if f.method.stop != nil {
		if err := f.method.stop(ctx, f); err != nil {
			return err
		}
		f.end(ctx)
		return nil
	}
	if err := leader.signal(syscall.SIGTERM); err != nil {
		return err
	}
	return leader.ended(ctx)
}

// end asks everything that a target started to end, whoever started it: what a
// process that ended leaves behind is ours, and asked too.
func (f *fleet) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	for known := -1; known < len(f.processes); {
		known = len(f.processes)
		f.adopt()
		for _, p := range f.processes {
			select {
			case <-p.exited:
			default:
				_ = p.signal(syscall.SIGTERM)
			}
		}
		for _, p := range f.processes {
			_ = p.ended(ctx)
		}
	}
}

// cpu is the processor time of all that has ended.
func (f *fleet) cpu() (total time.Duration) {
	for _, p := range f.processes {
		select {
		case <-p.exited:
			total += p.cpu
		default:
		}
	}
	return total
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
