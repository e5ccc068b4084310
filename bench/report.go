package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A Report is what one Run measured.
type Report struct {
	Command string    `json:"command"`
	Machine Machine   `json:"machine"`
	Results []*Result `json:"results"`
	Skipped []Skip    `json:"skipped,omitempty"`
}

// Machine is where a report was made, as far as it bears on the numbers.
type Machine struct {
	Kernel string `json:"kernel"`
	CPUs   int    `json:"cpus"`
	Model  string `json:"cpu_model"`
	Go     string `json:"go"`
}

// A Result is one method in one scenario. Latencies and times are in
// milliseconds.
type Result struct {
	Method   string `json:"method"`
	Scenario string `json:"scenario"`
	// Restarts that were completed: the new generation answered and the old
	// process is gone.
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
	// PortsExhausted counts requests that were not made because the client
	// side had no free port. They are not lost, but the load was less than
	// asked for.
	PortsExhausted int `json:"ports_exhausted,omitempty"`
	// Errors say why restarts failed or what was left over at the end.
	Errors []string `json:"errors,omitempty"`
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

// A Skip is a method that could not run on this machine.
type Skip struct {
	Method string `json:"method"`
	Reason string `json:"reason"`
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

// Err is nil if every restart succeeded, nothing was left over and handoff
// lost nothing. The losses of other methods are results, not errors.
func (r *Report) Err() error {
	var errs []error
	for _, res := range r.Results {
		for _, e := range res.Errors {
			errs = append(errs, fmt.Errorf("%s %s: %s", res.Method, res.Scenario, e))
		}
		if res.Method == "handoff" && res.Lost > 0 {
			errs = append(errs, fmt.Errorf("handoff %s: lost %d of %d requests", res.Scenario, res.Lost, res.Requests))
		}
	}
	return errors.Join(errs...)
}
