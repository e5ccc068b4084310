package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// namespaceDriver, in place of a method, makes Serve a driver: it reads
// Options from stdin, measures, and writes a Report to stdout. It is how load
// and servers get into a network namespace together: a process enters it when
// it starts, while a running Go program would have to do so thread by thread.
const namespaceDriver = "namespace-driver"

// measureInNamespace lets a driver in a new network namespace measure m. The
// error is a skipError when no namespace can be made here.
func (r *Report) measureInNamespace(ctx context.Context, o *Options, m *method) error {
	inner := *o
	inner.Methods = []string{m.name}
	stdin, err := json.Marshal(inner)
	if err != nil {
		return err
	}
	var stdout bytes.Buffer
	start := func(attr *syscall.SysProcAttr) error {
		cmd := exec.CommandContext(ctx, o.Command[0], append(o.Command[1:len(o.Command):len(o.Command)], namespaceDriver)...)
		cmd.Env = driverEnv()
		cmd.SysProcAttr = attr
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, o.Progress
		// It has servers of its own to end first.
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 10 * time.Second
		if err := cmd.Start(); err != nil {
			return &skipError{fmt.Errorf("no private network namespace: %w", err)}
		}
		return cmd.Wait()
	}
	if err := inNewNamespace(start); err != nil {
		return err
	}
	var got Report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		return fmt.Errorf("bench: report from the network namespace: %w", err)
	}
	r.Results = append(r.Results, got.Results...)
	r.Skipped = append(r.Skipped, got.Skipped...)
	return nil
}

// driveInNamespace is the driver inside the namespace.
func driveInNamespace(ctx context.Context, all []*method) error {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	var o Options
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return fmt.Errorf("bench: serve %s: options from stdin: %w", namespaceDriver, err)
	}
	o.Progress = os.Stderr
	r, err := run(ctx, &o, all, true)
	if err != nil {
		return err
	}
	return r.WriteJSON(os.Stdout)
}
