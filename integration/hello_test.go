package integration

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/graceport/graceport/handoff"
)

func status(t *testing.T, dir string) []handoff.Status {
	t.Helper()
	out, errs, code := run(t, "graceport", "status", "-json", dir)
	if code != 0 {
		t.Fatalf("status: %s", errs)
	}
	var all []handoff.Status
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// The life of a service, with the commands that its operator has.
func TestHello(t *testing.T) {
	dir := controlDir(t)
	killLeft(t, dir)
	first := serve(t, "hello", "-addr", "127.0.0.1:0", "-dir", dir)
	address, pid, generation := first.ready()
	if body, err := get(address); err != nil || body != fmt.Sprintf("Hello from %d!\n", pid) || generation != 1 {
		t.Errorf("generation %d answers %q, %v", generation, body, err)
	}
	if _, errs, code := run(t, "graceport", "upgrade", dir); code != 0 || !strings.Contains(errs, "successor leads") {
		t.Errorf("upgrade: exit status %d\n%s", code, errs)
	}
	_, next, generation := first.ready()
	if body, err := get(address); err != nil || body != fmt.Sprintf("Hello from %d!\n", next) || generation != 2 {
		t.Errorf("generation %d answers %q, %v", generation, body, err)
	}
	if code := first.wait(); code != 0 {
		t.Errorf("the first generation's exit status is %d", code)
	}
	metrics, err := get(strings.Replace(address, "/hello", "/metrics", 1))
	if err != nil || !strings.Contains(metrics, "graceport_connections") {
		t.Errorf("metrics: %v\n%s", err, metrics)
	}
	all := status(t, dir)
	if len(all) != 1 || all[0].PID != next || !all[0].Leader {
		t.Errorf("status: %+v", all)
	}
	table, _, _ := run(t, "graceport", "status", dir)
	if u, err := url.Parse(address); err != nil || !strings.Contains(table, u.Host) || !strings.Contains(table, "2*") {
		t.Errorf("status prints\n%s", table)
	}

	// Another copy, started by hand, takes over just the same.
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	second := serve(t, "hello", "-addr", u.Host, "-dir", dir)
	if _, _, generation := second.ready(); generation != 3 {
		t.Errorf("generation %d leads", generation)
	}
	eventually(t, "generation 2 has ended", func() bool { return syscall.Kill(next, 0) != nil })
	if _, errs, code := run(t, "graceport", "stop", dir); code != 0 {
		t.Errorf("stop: %s", errs)
	}
	if code := second.wait(); code != 0 {
		t.Errorf("after stop its exit status is %d", code)
	}
	if _, errs, code := run(t, "graceport", "status", dir); code != 1 || !strings.Contains(errs, "no generation") {
		t.Errorf("status of a service that has ended: exit status %d, %s", code, errs)
	}
	leftOver(t, dir)
}

// leftOver fails the test if the directory holds anything but the lock and
// the link that keep the count, and the counters of generations that ended.
func leftOver(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "lock" && e.Name() != "leader" && !strings.HasSuffix(e.Name(), ".metrics") {
			t.Errorf("left over: %s", e.Name())
		}
	}
}

func TestCommandsSayWhatToDo(t *testing.T) {
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, 2, "usage: graceport COMMAND"},
		{[]string{"nonsense"}, 2, "graceport help"},
		{[]string{"status"}, 2, "usage: graceport status"},
		{[]string{"status", "/nonexistent"}, 1, "does not exist"},
		{[]string{"upgrade", "-share", "5", "/nonexistent"}, 2, "not a percentage"},
		{[]string{"share", "/nonexistent", "half"}, 2, "not a percentage"},
		{[]string{"stop", "-generation", "-1", "/nonexistent"}, 2, "negative"},
		{[]string{"bench", "-methods", "magic"}, 1, "choose from"},
	} {
		_, errs, code := run(t, "graceport", x.args...)
		if code != x.code || !strings.Contains(errs, x.want) {
			t.Errorf("graceport %q: exit status %d, want %d with %q:\n%s", x.args, code, x.code, x.want, errs)
		}
	}
	for _, name := range []string{"bench", "status", "upgrade", "share", "rollback", "stop", "run", "metrics", "doctor"} {
		out, _, code := run(t, "graceport", name, "-h")
		if code != 0 || !strings.Contains(out, "Example") {
			t.Errorf("graceport %s -h: exit status %d, without an example:\n%s", name, code, out)
		}
	}
	if out, errs, code := run(t, "graceport", "doctor"); code != 0 || !strings.Contains(out, "strategy") {
		t.Errorf("doctor: exit status %d: %s%s", code, out, errs)
	}
}
