package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// measureInNamespace lets a driver in a new network namespace measure. The
// error is a skipError when no namespace can be made here.
func measureInNamespace(ctx context.Context, o *Options, c *cell) (*Measurement, error) {
	inner := *o
	inner.Methods, inner.Scenarios, inner.Repetitions = []string{c.method.name}, []string{c.scenario.name}, 1
	stdin, err := json.Marshal(inner)
	if err != nil {
		return nil, err
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
		return nil, err
	}
	var got Report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		return nil, fmt.Errorf("bench: report from the network namespace: %w", err)
	}
	switch {
	case len(got.Results) == 1:
		m := got.Results[0].Measurement
		return &m, nil
	case len(got.Skipped) == 1:
		return nil, &skipError{errors.New(got.Skipped[0].Reason)}
	}
	return nil, fmt.Errorf("bench: the network namespace reported %d results", len(got.Results))
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
	o.Step = func(int, int, string) {}
	for _, p := range o.Peers {
		all = append(all, p.method())
	}
	r, err := run(ctx, &o, all, true)
	if err != nil && !errors.Is(err, ErrClient) { // which the outer run finds by itself
		return err
	}
	return r.WriteJSON(os.Stdout)
}
