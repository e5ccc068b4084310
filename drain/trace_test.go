package drain_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/trace"
	"strings"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// drainStuck drains with a request that never ends, and returns the report and
// the log.
func drainStuck(t *testing.T, dir string) (*drain.Report, string) {
	t.Helper()
	var log bytes.Buffer
	arrived, release := make(chan struct{}), make(chan struct{})
	s := serve(t, drain.Config{
		Timeout:  50 * time.Millisecond,
		TraceDir: dir,
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
	}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}))
	dial(t, s.addr).send("GET", "/")
	<-arrived
	r := s.Drain(t.Context())
	close(release)
	if !r.TimedOut || r.Closed.Forced != 1 {
		t.Errorf("report %+v", r)
	}
	return r, log.String()
}

func TestTraceAtDeadline(t *testing.T) {
	dir := t.TempDir()
	r, log := drainStuck(t, dir)
	if filepath.Dir(r.Trace) != dir {
		t.Fatalf("trace %q is not in %s; log:\n%s", r.Trace, dir, log)
	}
	b, err := os.ReadFile(r.Trace)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b, []byte("go 1.")) || len(b) < 1000 || len(b) > 32<<20 {
		t.Errorf("%d bytes, begin with %q", len(b), b[:min(len(b), 16)])
	}
	if !bytes.Contains(b, []byte("drain.(*Conns).run")) {
		t.Error("the drain itself is not in its trace")
	}
}

func TestNoTrace(t *testing.T) {
	t.Run("not configured", func(t *testing.T) {
		fr := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
		if err := fr.Start(); err != nil { // so nothing else may record
			t.Fatal(err)
		}
		defer fr.Stop()
		if r, log := drainStuck(t, ""); r.Trace != "" || strings.Contains(log, "ERROR") {
			t.Errorf("trace %q, log:\n%s", r.Trace, log)
		}
	})
	t.Run("in time", func(t *testing.T) {
		dir := t.TempDir()
		if r := drain.New(drain.Config{TraceDir: dir}).Drain(t.Context()); r.Trace != "" {
			t.Errorf("trace %q", r.Trace)
		}
		if files, _ := os.ReadDir(dir); len(files) > 0 {
			t.Errorf("files %v", files)
		}
		drainStuck(t, dir) // the recorder was stopped, so another can start
		if files, _ := os.ReadDir(dir); len(files) != 1 {
			t.Errorf("files %v", files)
		}
	})
	t.Run("no directory", func(t *testing.T) {
		if r, log := drainStuck(t, filepath.Join(t.TempDir(), "missing")); r.Trace != "" || !strings.Contains(log, "no such file") {
			t.Errorf("trace %q, log:\n%s", r.Trace, log)
		}
	})
	t.Run("another recorder", func(t *testing.T) {
		fr := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
		if err := fr.Start(); err != nil {
			t.Fatal(err)
		}
		defer fr.Stop()
		if r, log := drainStuck(t, t.TempDir()); r.Trace != "" || !strings.Contains(log, "no flight recorder") {
			t.Errorf("trace %q, log:\n%s", r.Trace, log)
		}
	})
}
