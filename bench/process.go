package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// driverVar is the environment variable that tells servers, and servers'
// successors, the pid of the driver they belong to.
const driverVar = "GRACEPORT_BENCH_DRIVER"

func driverEnv() []string {
	return append(os.Environ(), driverVar+"="+strconv.Itoa(os.Getpid()))
}

// A process is one generation as the driver sees it. It may be a grandchild:
// some methods start the successor from the server itself. Since the driver
// adopts orphans, each process becomes the driver's child at the latest when
// its predecessor is gone, and can then be waited for.
type process struct {
	pid        int
	generation int
	os         *os.Process

	wait   sync.Once
	exited chan struct{}

	// Set before exited closes:
	err     error         // why waiting failed
	failure error         // an exit status other than 0, or a signal
	cpu     time.Duration // of it and the children it waited for

	// leaves, if set, waits for the end of a generation that is not that of
	// the process: a master process has workers.
	leaves func(ctx context.Context) error
}

func newProcess(p *os.Process, generation int) *process {
	return &process{pid: p.Pid, generation: generation, os: p, exited: make(chan struct{})}
}

func (p *process) signal(sig os.Signal) error {
	if err := p.os.Signal(sig); err != nil {
		return fmt.Errorf("send %s to generation %d (pid %d): %w", sig, p.generation, p.pid, err)
	}
	return nil
}

// done is closed once the process has ended and been reaped. It must not be
// called before the predecessor is gone.
func (p *process) done() <-chan struct{} {
	p.wait.Do(func() {
		go func() {
			defer close(p.exited)
			var state *os.ProcessState
			if state, p.err = p.os.Wait(); p.err != nil {
				_ = p.os.Release() // Wait leaves that to the garbage collector
				return
			}
			p.cpu = state.UserTime() + state.SystemTime()
			if !state.Success() {
				p.failure = errors.New(state.String())
			}
		}()
	})
	return p.exited
}

// gone waits until the generation has ended.
func (p *process) gone(ctx context.Context) error {
	if p.leaves != nil {
		return p.leaves(ctx)
	}
	return p.ended(ctx)
}

// ended waits until the process has ended and left no zombie. When ctx ends
// first the process is left as it is.
func (p *process) ended(ctx context.Context) error {
	select {
	case <-p.done():
		if p.err != nil {
			return fmt.Errorf("wait for generation %d (pid %d): %w", p.generation, p.pid, p.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("generation %d (pid %d) has not ended: %w", p.generation, p.pid, context.Cause(ctx))
	}
}

// kill ends the process at once and reaps it.
func (p *process) kill() {
	// A master's workers would outlive it; that of a finished program does not
	// carry our mark.
	for pid := range childrenOf(p.pid) {
		if worker, err := os.FindProcess(pid); err == nil {
			defer newProcess(worker, 0).reap()
			_ = worker.Kill()
		}
	}
	_ = p.os.Kill()
	<-p.done()
}

// reap waits for one that was killed and whose parent is gone.
func (p *process) reap() { <-p.done() }

// killStrays ends them and returns their pids.
func killStrays() (killed []int) {
	for _, p := range strays() {
		p.kill()
		killed = append(killed, p.pid)
	}
	return killed
}
