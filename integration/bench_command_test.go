package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What was broken on purpose ends with status 1, and compare says so too.
func TestBenchCanFail(t *testing.T) {
	dir := t.TempDir()
	short := []string{"bench", "-methods", "handoff", "-scenarios", "short", "-restarts", "10", "-json"}
	whole, broken := filepath.Join(dir, "whole.json"), filepath.Join(dir, "broken.json")
	if _, errs, status := run(t, "graceport", append(short, whole)...); status != 0 {
		t.Fatalf("status %d\n%s", status, errs)
	}
	out, errs, status := run(t, "graceport", append(short, broken, "-close-early")...)
	if status != 1 || !strings.Contains(errs, "handoff short: lost") {
		t.Errorf("closing early: status %d\n%s\n%s", status, out, errs)
	}
	if out, _, status := run(t, "graceport", "bench", "compare", whole, whole); status != 0 {
		t.Errorf("a result beside itself: status %d\n%s", status, out)
	}
	out, _, status = run(t, "graceport", "bench", "compare", whole, broken)
	if status != 1 || !strings.Contains(out, "worse: handoff short: lost per restart") {
		t.Errorf("the broken one: status %d\n%s", status, out)
	}
	if out, _, status := run(t, "graceport", "bench", "compare", broken, whole); status != 0 || !strings.Contains(out, "better: ") {
		t.Errorf("the other way: status %d\n%s", status, out)
	}
}

// An interrupted run prints and writes what it has.
func TestBenchInterrupted(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(filepath.Join(bin, "graceport"), "bench", "-methods", "stop-start", "-scenarios", "short",
		"-restarts", "1", "-repetitions", "100000", "-o", dir)
	var out strings.Builder
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	b := make([]byte, 1)
	for line := ""; !strings.Contains(line, "1 restarts"); line += string(b) {
		if _, err := stderr.Read(b); err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := stderr.Read(make([]byte, 1024)); err != nil {
			break
		}
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 1 {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(out.String(), "stop-start") || !strings.Contains(out.String(), "not complete:") {
		t.Errorf("printed %q", out.String())
	}
	file, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r benchReport
	if err := json.Unmarshal(file, &r); err != nil || len(r.Results) != 1 || r.Results[0].Restarts == 0 {
		t.Errorf("wrote %+v (%v)", r, err)
	}
}

func TestBenchListsAndRefuses(t *testing.T) {
	out, _, status := run(t, "graceport", "bench", "-list")
	for _, want := range []string{"handoff-ebpf", "nginx-upgrade", "half-open", "-peer NAME=COMMAND"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("-list: status %d, lacks %q:\n%s", status, want, out)
		}
	}
	for _, args := range [][]string{
		{"-restart", "x"}, {"-target", "x"}, {"-target", "x", "-restart", "y"}, {"-peer", "x"}, {"-repetitions", "0"},
		{"compare"}, {"compare", "a"},
	} {
		if _, errs, status := run(t, "graceport", append([]string{"bench"}, args...)...); status != 2 || !strings.Contains(errs, "graceport bench") {
			t.Errorf("%q: status %d\n%s", args, status, errs)
		}
	}
	// A target is measured instead of the methods, with -full too.
	for _, full := range []string{"-full", "-full=false"} {
		_, errs, status := run(t, "graceport", "bench", full, "-target", "exit 3", "-restart", "true", "-addr", "127.0.0.1:1")
		if status != 1 || !strings.Contains(errs, "target short: generation 1 does not answer: the command that starts it: exit status 3") {
			t.Errorf("-target that cannot start, %s: status %d\n%s", full, status, errs)
		}
	}
	if _, errs, status := run(t, "graceport", "bench", "compare", "absent.json", "absent.json"); status != 1 || !strings.Contains(errs, "absent.json") {
		t.Errorf("compare of absent files: status %d\n%s", status, errs)
	}
}
