package bench

import (
	"testing"
	"time"
)

// A failed restart must not delay the matrix; a service that we know nothing of may
// take longer than the methods.
func TestTimeForARestart(t *testing.T) {
	for _, c := range []struct {
		method, scenario string
		want             time.Duration
	}{
		{"handoff", "short", restartTimeout},
		{"handoff", "never-ready", 3 * time.Second},
		{targetMethod, "short", targetTimeout},
	} {
		f := &fleet{method: &method{name: c.method}, scenario: find(scenarios(), c.scenario, (*scenario).id)}
		ctx, cancel := f.bound(t.Context())
		at, ok := ctx.Deadline()
		cancel()
		if left := time.Until(at); !ok || left > c.want || left < c.want-time.Second {
			t.Errorf("%s %s: %v, want %v", c.method, c.scenario, left, c.want)
		}
	}
}
