package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

type benchReport struct {
	Results []struct {
		Method   string `json:"method"`
		Scenario string `json:"scenario"`
		Restarts int    `json:"restarts"`
		Requests int    `json:"requests"`
		Lost     int    `json:"lost"`
		Skipped  string `json:"skipped"`
	} `json:"results"`
}

// runBench runs graceport bench and returns what it reports, by method and
// scenario.
func runBench(t *testing.T, args ...string) (lost map[string]int, r benchReport) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	out, errs, code := run(t, "graceport", append([]string{"bench", "-json", file}, args...)...)
	t.Logf("\n%s", out)
	if code != 0 {
		t.Fatalf("exit status %d\n%s", code, errs)
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	lost = map[string]int{}
	for _, x := range r.Results {
		if x.Requests == 0 && x.Method != "reuseport-migrate" {
			t.Errorf("%s made no request in %s", x.Method, x.Scenario)
		}
		lost[x.Method+" "+x.Scenario] = x.Lost
	}
	return lost, r
}

// With nothing prepared, in a minute: handoff loses nothing where the others
// do.
func TestBench(t *testing.T) {
	began := time.Now()
	lost, _ := runBench(t)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	for _, name := range []string{"handoff short", "handoff keepalive"} {
		if n, ok := lost[name]; !ok || n != 0 {
			t.Errorf("%s lost %d (measured: %v)", name, n, ok)
		}
	}
	for _, name := range []string{"reuseport-naive short", "stop-start short", "fd-inherit keepalive"} {
		if lost[name] == 0 {
			t.Errorf("%s lost nothing: the check cannot fail", name)
		}
	}
}

func TestHundredRestarts(t *testing.T) {
	_, r := runBench(t, "-methods", "handoff", "-restarts", "100", "-pause", "100ms")
	if len(r.Results) != 2 {
		t.Errorf("%d results", len(r.Results))
	}
	for _, x := range r.Results {
		if x.Restarts != 100 || x.Lost != 0 {
			t.Errorf("%s: %d restarts, %d lost", x.Scenario, x.Restarts, x.Lost)
		}
	}
}
