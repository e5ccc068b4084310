package peers_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graceport/graceport/bench"
)

var built = flag.String("peers", "", "`directory` in which the peers are already built")

// serveVar makes the test binary the bench's driver in a network namespace.
const serveVar = "GRACEPORT_TEST_PEERS_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveVar) != "" {
		if err := bench.Serve(context.Background(), os.Args[1:]...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv(serveVar, "1")
	// Under the race detector a process sleeps for a second before it ends.
	os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	os.Exit(runWithPrograms(m))
}

// programs is the directory of the peers.
var programs string

// runWithPrograms builds them, unless they are there already.
func runWithPrograms(m *testing.M) int {
	flag.Parse()
	if programs = *built; programs != "" {
		return m.Run()
	}
	if _, err := exec.LookPath("go"); err != nil {
		return m.Run() // the tests say so
	}
	dir, err := os.MkdirTemp("", "graceport-peers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("go", "build", "-o", dir, "./...").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	programs = dir
	return m.Run()
}

// restart restarts every peer, and fails unless each came back every time.
// What they lose is for the bench to say: here they only have to work.
func restart(t *testing.T, restarts int, scenarios []string, names ...string) {
	t.Helper()
	for _, res := range measure(t, restarts, scenarios, names) {
		// A restart counts when the new generation has answered and the old one
		// is gone; what is left over at the end is an error.
		works := func() bool { return res.Restarts == restarts && len(res.Errors) == 0 }
		for attempt := 1; attempt < 5 && !works() && slices.Contains(missSignals, res.Method); attempt++ {
			t.Logf("%s %s, once more after: %q", res.Method, res.Scenario, res.Errors)
			res = measure(t, restarts, []string{res.Scenario}, []string{res.Method})[0]
		}
		if !works() {
			t.Errorf("%s %s: %d restarts, errors: %q", res.Method, res.Scenario, res.Restarts, res.Errors)
		}
		t.Logf("%s %s: lost %d of %d: %v", res.Method, res.Scenario, res.Lost, res.Requests, res.LostBy)
	}
}

func measure(t *testing.T, restarts int, scenarios, names []string) []*bench.Result {
	t.Helper()
	if programs == "" {
		t.Skip("no go command to build the peers with; name a directory that has them with -peers")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var peers []bench.Peer
	for _, name := range names {
		peers = append(peers, bench.Peer{Name: name, Command: []string{filepath.Join(programs, name)}})
	}
	r, err := bench.Run(t.Context(), &bench.Options{
		Peers:     peers,
		Methods:   names,
		Scenarios: scenarios,
		Restarts:  restarts,
		Command:   []string{exe},
		Progress:  logWriter{t},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results)+len(r.Skipped) != len(names)*len(scenarios) {
		t.Fatalf("%d results, skipped: %+v", len(r.Results), r.Skipped)
	}
	return r.Results
}

var all = []string{"tableflip", "grace", "endless", "overseer"}

// missSignals are those that sometimes do, see doc.go, and get another chance.
var missSignals = []string{"endless", "overseer"}

func TestRestarts(t *testing.T) {
	restart(t, 3, []string{"short", "keepalive"}, all...)
}

func TestScenarios(t *testing.T) {
	restart(t, 1, []string{"slow-accept", "slow-start", "crash-new", "half-open", "burst", "streams", "tls"}, all...)
	// The others are left with a listener in blocking mode, and do not end at
	// TERM while nobody connects (see doc.go).
	restart(t, 1, []string{"never-ready"}, "tableflip", "overseer")
}

type logWriter struct{ t *testing.T }

var _ io.Writer = logWriter{}

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}
