package bench

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

func fixedReport() *Report {
	return &Report{
		Command: "graceport bench -methods stop-start,handoff",
		Machine: Machine{Kernel: "6.18.0", CPUs: 2, Model: "Some CPU", Go: "go1.26.0"},
		Results: []*Result{
			fixedResult("stop-start", "short", &Measurement{
				Restarts: 10, Requests: 9757, Lost: 1197,
				LostBy:         map[string]int{"dial/refused": 1023, "first-byte/reset": 87, "first-byte/eof": 87},
				Restart:        RestartTime{20.04, 73.8},
				Steady:         Latency{3.79, 17.7, 32.9, 47.6},
				RestartWindow:  Latency{5.06, 38.2, 47, 152.4},
				LongestSilence: 29.1,
				CPUPerRequest:  71.2,
				ClientFailures: map[string]int{"ports": 3},
			}, &Measurement{
				Restarts: 10, Requests: 9000, Lost: 1001,
				LostBy:        map[string]int{"dial/refused": 1001},
				Restart:       RestartTime{22, 70},
				Steady:        Latency{3.9, 17, 32, 40},
				RestartWindow: Latency{5, 40, 50, 100},
				CPUPerRequest: 73,
			}),
			fixedResult("handoff", "keepalive", &Measurement{
				Restarts: 2, Requests: 100,
				Errors: []string{"restart 3: no new process got ready"},
			}),
			fixedResult("fd-inherit", "short", &Measurement{}),
		},
		Skipped: []Skip{{Method: "reuseport-migrate", Reason: "no private network namespace: operation not permitted"}},
	}
}

func fixedResult(method, scenario string, repetitions ...*Measurement) *Result {
	res := (&Report{}).result(method, scenario)
	for _, m := range repetitions {
		res.add(m)
	}
	return res
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -update and look at the change. Got:\n%s", name, got)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := fixedReport().Table(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.txt", b.Bytes())
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := fixedReport().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.json", b.Bytes())
}

func TestErrIsForHandoffAndFailures(t *testing.T) {
	lossy := &Report{Results: []*Result{fixedResult("stop-start", "short", &Measurement{Lost: 5})}}
	if err := lossy.Err(); err != nil {
		t.Errorf("a control that loses: %v, want nil", err)
	}
	lossy.Results[0].Method = "handoff"
	if err := lossy.Err(); err == nil || !strings.Contains(err.Error(), "handoff short: lost 5") {
		t.Errorf("handoff that loses: %v", err)
	}
	if err := fixedReport().Err(); err == nil || !strings.Contains(err.Error(), "restart 3") {
		t.Errorf("a restart that failed: %v", err)
	}
}
