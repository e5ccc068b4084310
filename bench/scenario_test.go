package bench

import (
	"slices"
	"testing"
	"time"
)

// What handoff must not lose in any scenario but one, and controls that do.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			o := testOptions(t, "handoff", s.name)
			o.Restarts = 2
			if s.paced {
				o.Rate = 300
			}
			res := measured(t, o)
			if want := min(o.Restarts, restartsOf(s)); res.Restarts != want || len(res.Errors) > 0 {
				t.Errorf("%d restarts, want %d; errors: %q", res.Restarts, want, res.Errors)
			}
			if s.failing == crashes {
				// What the process had accepted dies with it, but the old one
				// is there.
				if n := res.LostBy[string(dialing)+"/"+string(refused)]; n > 0 {
					t.Errorf("%d connections were refused", n)
				}
				return
			}
			if res.Lost > 0 {
				t.Errorf("handoff lost %d of %d: %v", res.Lost, res.Requests, res.LostBy)
			}
		})
	}
}

func restartsOf(s *scenario) int {
	if s.restarts == 0 {
		return DefaultRestarts
	}
	return s.restarts
}

// Each scenario provokes what it says, or a result of 0 in it says nothing.
func TestScenariosProvoke(t *testing.T) {
	for _, c := range []struct{ method, scenario string }{
		{"reuseport-naive", "slow-accept"},
		{"stop-start", "slow-start"},
		{"reuseport-naive", "crash-new"},
		{"stop-start", "never-ready"},
		{"reuseport-naive", "half-open"},
		{"reuseport-naive", "burst"},
		{"stop-start", "streams"},
		{"reuseport-naive", "tls"},
		{"stop-start", "udp"},
		{"stop-start", "unix"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			for range 5 {
				res := measured(t, testOptions(t, c.method, c.scenario))
				if len(res.Errors) > 0 {
					t.Fatalf("errors: %q", res.Errors)
				}
				if res.Lost > 0 {
					t.Logf("%s lost %v", c.method, res.LostBy)
					return
				}
			}
			t.Errorf("%s lost nothing", c.method)
		})
	}
}

// The bench can fail: handoff broken on purpose loses.
func TestClosingEarlyLoses(t *testing.T) {
	for _, scenario := range []string{"short", "half-open"} {
		t.Run(scenario, func(t *testing.T) {
			for range 5 {
				o := testOptions(t, "handoff", scenario)
				o.CloseEarly = true
				res := measured(t, o)
				if res.Restarts != o.Restarts {
					t.Fatalf("%d restarts, errors: %q", res.Restarts, res.Errors)
				}
				if res.Lost > 0 {
					t.Logf("lost %v", res.LostBy)
					if (&Report{Results: []*Result{res}}).Err() == nil {
						t.Error("Report.Err is nil")
					}
					return
				}
			}
			t.Error("lost nothing")
		})
	}
}

// Clients of upgraded connections come back evenly, and all at once to others.
func TestReconnectIsSpread(t *testing.T) {
	const clients = 1000
	even := clients * int(100*time.Millisecond) / int(reconnectWindow)
	for attempt := range 5 {
		res := measured(t, testOptions(t, "handoff", "reconnect"))
		if res.Restarts != 1 || len(res.Errors) > 0 || res.Lost > 0 {
			t.Fatalf("%d restarts, lost %d, errors: %q", res.Restarts, res.Lost, res.Errors)
		}
		t.Logf("handoff: %d within 100 ms, even are %d", res.Crowd, even)
		if 2*res.Crowd <= 3*even {
			break
		}
		if attempt == 4 {
			t.Errorf("%d come back within 100 ms, want %d at most", res.Crowd, 3*even/2)
		}
	}
	res := measured(t, testOptions(t, "reuseport-naive", "reconnect"))
	if t.Logf("reuseport-naive: %d", res.Crowd); res.Crowd < 3*even {
		t.Errorf("reuseport-naive: only %d come back within 100 ms; the test cannot fail", res.Crowd)
	}
}

func TestSessionsAreResumedAcrossHandoff(t *testing.T) {
	res := measured(t, testOptions(t, "handoff", "tls"))
	if r := res.Resumed; r == nil || r.Of == 0 || r.Part != r.Of {
		t.Errorf("handoff: %+v, want all sessions resumed", r)
	}
	res = measured(t, testOptions(t, "reuseport-naive", "tls"))
	if r := res.Resumed; r == nil || r.Of == 0 || r.Part != 0 {
		t.Errorf("reuseport-naive: %+v, want none", r)
	}
}

func TestEveryScenarioSaysWhatItShows(t *testing.T) {
	for _, s := range scenarios() {
		if s.summary == "" || s.shows == "" {
			t.Errorf("%s says nothing", s.name)
		}
	}
	for _, name := range DefaultScenarios() {
		if !slices.Contains(ScenarioNames(), name) {
			t.Errorf("%s is none", name)
		}
	}
}
