package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Programs that are not made for the bench announce nothing. Their generation
// is in the configuration that is written before each restart, and they are
// ready when it answers.

// installed says what to install if a program is not there.
func installed(program string) func(context.Context) error {
	return func(context.Context) error {
		if _, err := exec.LookPath(program); err != nil {
			return &skipError{fmt.Errorf("%s is not installed: apt-get install %s", program, program)}
		}
		return nil
	}
}

// version is what a program says of itself, after its name.
func version(ctx context.Context, program string) string {
	out, err := exec.CommandContext(ctx, program, "-v").CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	// "nginx version: nginx/1.22.1", "HAProxy version 2.6.12-1 2023/12/16 ..."
	for _, before := range []string{": " + program + "/", " version "} {
		if _, after, ok := strings.Cut(line, before); ok {
			number, _, _ := strings.Cut(after, " ")
			return number
		}
	}
	return line
}

// answering waits until a generation answers.
func (f *fleet) answering(ctx context.Context, generation int) error {
	t := f.target
	t.timeout = time.Second
	for {
		c := f.scenario.client(&t)
		got, _ := c.do(ctx)
		c.close()
		if got == generation {
			return nil
		}
		if !wait(ctx, 2*time.Millisecond, nil) {
			return fmt.Errorf("generation %d does not answer: %w", generation, context.Cause(ctx))
		}
	}
}

// configure writes the configuration of a generation, whole or not at all.
func (f *fleet) configure(name, text string) error {
	file := filepath.Join(f.dir, name)
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// readPID waits for a pid file that names another process than not.
func (f *fleet) readPID(ctx context.Context, name string, not int) (int, error) {
	for {
		b, err := os.ReadFile(filepath.Join(f.dir, name))
		if err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid != not {
				return pid, nil
			}
		} else if !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		if !wait(ctx, 2*time.Millisecond, nil) {
			return 0, fmt.Errorf("pid file %s: %w", name, context.Cause(ctx))
		}
	}
}

// nextWorkers makes a generation of a master process that stays: it takes the
// workers' end for its own.
func (p *process) nextWorkers(workers []int) *process {
	p.leaves = func(ctx context.Context) error {
		for {
			now := childrenOf(p.pid)
			left := slices.DeleteFunc(slices.Clone(workers), func(pid int) bool { _, ok := now[pid]; return !ok })
			if len(left) == 0 {
				return nil
			}
			if !wait(ctx, 2*time.Millisecond, nil) {
				return fmt.Errorf("workers %d of generation %d have not ended: %w", left, p.generation, context.Cause(ctx))
			}
		}
	}
	return &process{pid: p.pid, generation: p.generation + 1, os: p.os, exited: make(chan struct{})}
}

// catches waits until the process has a handler for a signal (proc(5), SigCgt).
func (p *process) catches(ctx context.Context, sig syscall.Signal) error {
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
		if err != nil {
			return err
		}
		if _, after, ok := strings.Cut(string(status), "\nSigCgt:\t"); ok {
			line, _, _ := strings.Cut(after, "\n")
			caught, err := strconv.ParseUint(line, 16, 64)
			if err == nil && caught&(1<<(sig-1)) != 0 {
				return nil
			}
		}
		if !wait(ctx, 2*time.Millisecond, nil) {
			return fmt.Errorf("pid %d does not catch %s: %w", p.pid, sig, context.Cause(ctx))
		}
	}
}

func workersOf(p *process) (pids []int) {
	for pid := range childrenOf(p.pid) {
		pids = append(pids, pid)
	}
	return pids
}

// kernelPath is how nginx and HAProxy name the address of a Unix socket.
func (f *fleet) kernelPath() string {
	if f.scenario.network == "unix" {
		return "unix:" + f.addr
	}
	return f.addr
}
