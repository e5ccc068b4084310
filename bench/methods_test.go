package bench

import (
	"os"
	"testing"
)

// What each method is known to lose. The controls show that the bench can see
// a loss; were they never to lose, "handoff lost nothing" would say nothing.
func TestControlsLose(t *testing.T) {
	for _, c := range []struct{ method, scenario string }{
		{"stop-start", "short"},
		{"reuseport-naive", "short"},
		{"fd-inherit", "keepalive"},
	} {
		t.Run(c.method+" "+c.scenario, func(t *testing.T) {
			for range 5 { // 20 restarts at most
				res := measured(t, testOptions(t, c.method, c.scenario))
				if len(res.Errors) > 0 {
					t.Fatalf("errors: %q", res.Errors)
				}
				if res.Lost > 0 {
					t.Logf("lost %v", res.LostBy)
					return
				}
			}
			t.Error("lost nothing")
		})
	}
}

func TestHandoffLosesNothing(t *testing.T) {
	for _, scenario := range DefaultScenarios() {
		t.Run(scenario, func(t *testing.T) {
			o := testOptions(t, "handoff", scenario)
			o.Restarts = 10
			res := measured(t, o)
			if res.Restarts != o.Restarts || res.Lost > 0 || len(res.Errors) > 0 {
				t.Errorf("%d restarts, lost %d of %d: %v; errors: %q",
					res.Restarts, res.Lost, res.Requests, res.LostBy, res.Errors)
			}
		})
	}
}

func TestMigrateRunsInItsOwnNamespace(t *testing.T) {
	was, err := os.ReadFile(migrateReq)
	if err != nil {
		t.Skip(err)
	}
	res := measured(t, testOptions(t, "reuseport-migrate", "short"))
	if res.Restarts != 4 || len(res.Errors) > 0 {
		t.Errorf("%d restarts, errors: %q", res.Restarts, res.Errors)
	}
	if now, err := os.ReadFile(migrateReq); err != nil || string(now) != string(was) {
		t.Errorf("the machine's tcp_migrate_req was %q, is %q (%v)", was, now, err)
	}
}
