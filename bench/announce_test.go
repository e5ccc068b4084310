package bench

import "testing"

func TestParseReady(t *testing.T) {
	pid, generation, ok := parseReady("ready http://127.0.0.1:8080 pid=12 generation=3")
	if !ok || pid != 12 || generation != 3 {
		t.Errorf("pid %d, generation %d, %v; want 12, 3, true", pid, generation, ok)
	}
}

func FuzzParseReady(f *testing.F) {
	for _, line := range []string{"", "ready", "ready x pid=1", "ready x pid=-1 generation=1", "ready x pid=1 generation=2 more", "started"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		// Pid 0 and negative ones name process groups.
		if pid, _, ok := parseReady(line); ok && pid <= 0 {
			t.Errorf("parseReady(%q) accepts pid %d", line, pid)
		}
	})
}
