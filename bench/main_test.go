package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// serveVar makes the test binary a server process.
const serveVar = "GRACEPORT_TEST_BENCH_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveVar) != "" {
		if len(os.Args) > 1 && os.Args[1] == peerCommand {
			if err := runPeer(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
		if err := serve(context.Background(), testMethods(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv(serveVar, "1")
	// Under the race detector a process sleeps for a second before it ends.
	os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	if _, err := freeAddress("127.0.0.1"); err != nil { // the runtime's own descriptors exist from now on
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	before := takeInventory()
	status := m.Run()
	for _, what := range before.leftovers(context.Background()) {
		fmt.Fprintln(os.Stderr, "left over after all tests:", what)
		status = 1
	}
	os.Exit(status)
}

func testMethods() []*method {
	return append(methods(), fakeMethods()...)
}

// options for the test binary as server.
func testOptions(t *testing.T, method, scenario string) *Options {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o, err := (&Options{
		Scenarios: []string{scenario},
		Restarts:  4,
		Command:   []string{exe},
		Progress:  logWriter{t},
	}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	o.Methods = []string{method}
	return o
}

// measured runs one method in one scenario.
func measured(t *testing.T, o *Options) *Result {
	t.Helper()
	r, err := run(t.Context(), o, testMethods(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Skipped) > 0 {
		t.Skip(r.Skipped[0].Reason)
	}
	if len(r.Results) != 1 {
		t.Fatalf("%d results, want 1", len(r.Results))
	}
	return r.Results[0]
}

type logWriter struct{ t *testing.T }

var _ io.Writer = logWriter{}

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}
