package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A Report is what one Run measured.
type Report struct {
	Command string    `json:"command"`
	Machine Machine   `json:"machine"`
	Results []*Result `json:"results"`
	Skipped []Skip    `json:"skipped,omitempty"`
	// Interrupted says why the run ended before everything was measured.
	Interrupted string `json:"interrupted,omitempty"`
}

// Machine is where a report was made, as far as it bears on the numbers.
type Machine struct {
	Kernel string `json:"kernel"`
	CPUs   int    `json:"cpus"`
	Model  string `json:"cpu_model"`
	Go     string `json:"go"`
	// Versions of other programs that were measured, by name.
	Versions map[string]string `json:"versions,omitempty"`
}

// A Result is one method in one scenario: all repetitions together.
type Result struct {
	Method   string `json:"method"`
	Scenario string `json:"scenario"`
	// Rate is the number of requests that were due per second; 0 means a
	// closed loop.
	Rate int `json:"rate,omitempty"`
	// Counts are sums over the repetitions, times are medians of the
	// repetitions' figures, the longest silence and every max is that of all.
	Measurement
	// LostPerRestart is the mean with its 95 % interval.
	LostPerRestart Interval       `json:"lost_per_restart"`
	Repetitions    []*Measurement `json:"repetitions,omitempty"`
}

// A Measurement is one method in one scenario, once. Latencies and times are
// in milliseconds.
type Measurement struct {
	// Restarts that were completed: the new generation answered and the old
	// process is gone; where the new one is to fail, that the service is back.
	Restarts int `json:"restarts"`
	// Requests that were made, the lost ones included.
	Requests int            `json:"requests"`
	Lost     int            `json:"lost"`
	LostBy   map[string]int `json:"lost_by"` // by "phase/kind"
	// Restart is the time from the command to restart to the first answer
	// of the new generation.
	Restart       RestartTime `json:"restart_ms"`
	Steady        Latency     `json:"steady_ms"`
	RestartWindow Latency     `json:"restart_window_ms"`
	// LongestSilence is the longest time in which no client got an answer.
	LongestSilence float64 `json:"longest_silence_ms"`
	// CPUPerRequest is processor time of all server processes, their starts
	// and ends included, in microseconds.
	CPUPerRequest float64 `json:"cpu_us_per_request,omitempty"`
	// ClientFailures count requests that were not made because the client side
	// had no free port or descriptor. They are not lost, but the load was less
	// than asked for.
	ClientFailures map[string]int `json:"client_failures,omitempty"`
	// Resumed counts TLS handshakes that resumed a session which another
	// generation had begun, of so many that tried.
	Resumed *Fraction `json:"resumed_across,omitempty"`
	// Crowd is the most clients that came back to a new generation within
	// 100 ms, where they hold connections that the old one has to end.
	Crowd int `json:"crowd,omitempty"`
	// Timeline is what was answered around the restarts.
	Timeline *Timeline `json:"timeline,omitempty"`
	// SteadyHistogram and RestartHistogram are all latencies in microseconds.
	SteadyHistogram  *Histogram `json:"steady_hdr,omitempty"`
	RestartHistogram *Histogram `json:"restart_window_hdr,omitempty"`
	// Errors say why restarts failed or what was left over at the end.
	Errors []string `json:"errors,omitempty"`
}

// A Fraction is a part of a whole.
type Fraction struct {
	Part int `json:"part"`
	Of   int `json:"of"`
}

// RestartTime summarizes the times of a result's restarts.
type RestartTime struct {
	P50 float64 `json:"p50"`
	Max float64 `json:"max"`
}

// Latency of the answered requests, as quantiles.
type Latency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// A Skip is a method that could not run on this machine, or not in one
// scenario.
type Skip struct {
	Method   string `json:"method"`
	Scenario string `json:"scenario,omitempty"`
	Reason   string `json:"reason"`
}

// WriteJSON writes the report, indented, for a result file.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("bench: write report: %w", err)
	}
	return nil
}

// Err is nil if every restart succeeded, nothing was left over and handoff,
// where it steers, lost nothing. The losses of other methods are results, not
// errors; so is what a process that crashes takes with it.
func (r *Report) Err() error {
	var errs []error
	for _, res := range r.Results {
		for _, e := range res.Errors {
			errs = append(errs, fmt.Errorf("%s %s: %s", res.Method, res.Scenario, e))
		}
		if mustNotLose(res.Method, res.Scenario) && res.Lost > 0 {
			errs = append(errs, fmt.Errorf("%s %s: lost %d of %d requests", res.Method, res.Scenario, res.Lost, res.Requests))
		}
	}
	return errors.Join(errs...)
}

func mustNotLose(method, scenario string) bool {
	return slices.Contains([]string{"handoff", "handoff-ebpf", "handoff-cbpf"}, method) && scenario != "crash-new"
}
