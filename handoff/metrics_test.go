package handoff

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestCounters(t *testing.T) {
	unlock := []action{{kind: actUnlock}}
	failed := []action{{kind: actHostFailed}}
	for _, x := range []struct {
		name          string
		before, after phase
		event         eventKind
		did           []action
		replaces      bool
		result        string
	}{
		{"the predecessor has closed its sockets", phaseTaking, phaseLeading, evRetired, unlock, true, takeoverCompleted},
		{"it was silent", phaseDark, phaseLeading, evReady, unlock, true, takeoverCompleted},
		{"there was none", phaseDark, phaseLeading, evReady, unlock, false, ""},
		{"we gave up, and have closed everything", phaseLeaving, phaseDraining, evEmptied, unlock, true, ""},
		{"the successor gave back", phaseHosting, phaseLeading, evGaveUp, failed, true, takeoverGivenBack},
		{"it was refused", phaseStarved, phaseLeading, evRollback, failed, true, takeoverRefused},
		{"it was silent for too long", phaseStarved, phaseLeading, evTimeout, failed, true, takeoverTimedOut},
		{"it died", phaseRetiring, phaseLeading, evLowerEnd, failed, true, takeoverDied},
		{"nothing ended", phaseHosting, phaseStarved, evLeading, nil, true, ""},
	} {
		var c counters
		begun := time.Now()
		c.begin(begun)
		c.stepped(x.before, event{kind: x.event}, x.after, x.did, x.replaces, begun.Add(3*time.Second))
		for _, result := range takeoverResults {
			want := uint64(0)
			if result == x.result {
				want = 1
			}
			if c.takeovers[result] != want {
				t.Errorf("%s: %d takeovers %s, want %d", x.name, c.takeovers[result], result, want)
			}
		}
		d := c.phases[x.before]
		if d.count != 1 || d.sum != 3*time.Second || !slices.Equal(d.buckets[:], []uint64{0, 0, 0, 0, 1, 1, 1}) || c.phase != x.after {
			t.Errorf("%s: phase %v took %+v, then %v", x.name, x.before, d, c.phase)
		}
	}
}

func TestMetricsNames(t *testing.T) {
	got := metricsNames([]*listener{
		{name: "tcp 192.0.2.1:80", network: "tcp"},
		{name: "tcp 192.0.2.1:81", network: "tcp"},
		{name: "admin", network: "tcp"},
		{name: "unix /run/a", network: "unix"},
		{name: "udp", network: "udp"},
	})
	if want := []string{"tcp", "tcp#2", "admin", "unix", "udp"}; !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}

// A successor that never says hello counts as a takeover that failed.
func TestSuccessorsThatNeverJoinAreCounted(t *testing.T) {
	g, err := Open(t.Context(), Config{Dir: t.TempDir() + "/d", Command: []string{"false"}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.Upgrade(t.Context()); !errors.Is(err, ErrUpgradeFailed) {
			t.Errorf("upgrade to a program that fails: %v", err)
		}
	}
	if got := g.Metrics().Takeovers[takeoverDied]; got != 2 {
		t.Errorf("%d takeovers are counted", got)
	}
}
