package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One's own service, as a program that knows nothing of the bench: started and
// restarted by shell commands, its generations told by a header or not at all.
func TestTarget(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{generationHeader, ""} {
		t.Run("header "+header, func(t *testing.T) {
			addr, err := freeAddress("127.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			pidFile, script := filepath.Join(dir, "pid"), filepath.Join(dir, "serve.sh")
			err = os.WriteFile(script, fmt.Appendf(nil, "echo $$ > %s\nexec %s stop-start -addr %s -generation $$\n", pidFile, exe, addr), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			o := testOptions(t, targetMethod, "short")
			o.Restarts = 2
			o.Target = &Target{
				Start: "cd " + dir + "; true && sh serve.sh; exit $?", // the shell stays
				// What a service manager does: the old one has to go first.
				Restart:          "kill $(cat " + pidFile + "); while kill -0 $(cat " + pidFile + ") 2>/dev/null; do sleep 0.01; done; sh " + script + " &",
				Addr:             addr,
				GenerationHeader: header,
			}
			if err := o.Target.check(); err != nil {
				t.Fatal(err)
			}
			o.Scenarios = DefaultScenarios()
			r, err := run(t.Context(), o, o.methods(), false)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Results) != 2 {
				t.Fatalf("%d results, want 2; skipped %v", len(r.Results), r.Skipped)
			}
			for _, res := range r.Results {
				if res.Restarts != 2 || len(res.Errors) > 0 || res.Requests == 0 {
					t.Errorf("%s: %d restarts, %d requests, errors: %q", res.Scenario, res.Restarts, res.Requests, res.Errors)
				}
				if res.Lost == 0 {
					t.Errorf("%s: a service that stops before it starts lost nothing", res.Scenario)
				}
			}
		})
	}
}

// A slow service is paced at half of what it can do, not of what ours can.
func TestTargetHasARateOfItsOwn(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := freeAddress("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions(t, targetMethod, "short-paced")
	o.Methods = []string{"stop-start", targetMethod}
	o.Target = &Target{ // at most one answer a millisecond
		Start:   fmt.Sprintf("exec %s stop-start -addr %s -scenario slow-accept", exe, addr),
		Restart: "true",
		Addr:    addr,
	}
	r, err := run(t.Context(), o, o.methods(), false)
	if err != nil {
		t.Fatal(err)
	}
	ours, slow := r.Results[0], r.Results[1]
	if ours.Rate < 600 || slow.Rate > 500 || slow.Rate < 50 {
		t.Errorf("the target is asked %d times a second, our server %d; want some 450, and more", slow.Rate, ours.Rate)
	}
	if slow.Lost > 0 || slow.Restarts != 1 {
		t.Errorf("lost %d in %d restarts; a service that stays lost something", slow.Lost, slow.Restarts)
	}
}

// What cannot be started is not waited for, and not for its rate.
func TestTargetThatFails(t *testing.T) {
	addr, err := freeAddress("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, scenario := range []string{"short", "short-paced"} {
		o := testOptions(t, targetMethod, scenario)
		o.Target = &Target{Start: "VARIABLE=1 exit 3", Restart: "true", Addr: addr}
		r, err := run(t.Context(), o, o.methods(), false)
		if err != nil {
			t.Fatal(err)
		}
		if errs := r.Results[0].Errors; len(errs) == 0 || !strings.Contains(errs[0], "exit status 3") {
			t.Errorf("%s: errors: %q", scenario, errs)
		}
	}
}

func TestTargetIsChecked(t *testing.T) {
	for _, target := range []Target{
		{},
		{Start: "x", Addr: "127.0.0.1:1"},
		{Start: "x", Restart: "y", Addr: "nowhere"},
		{Start: "x", Restart: "y", Addr: "127.0.0.1:1", Path: "z"},
	} {
		if err := target.check(); err == nil {
			t.Errorf("%+v is accepted", target)
		}
	}
}
