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
	Command string    `json:"command"`           // of graceport, to get it again
	Machine Machine   `json:"machine"`           // where
	Results []*Result `json:"results"`           // in the order of the measurements
	Skipped []Skip    `json:"skipped,omitempty"` // what was asked for and not measured
	// Interrupted says why the run ended before everything was measured; empty
	// if it did not.
	Interrupted string `json:"interrupted,omitempty"`
}

// Machine is where a report was made, as far as it bears on the numbers.
type Machine struct {
	Kernel string `json:"kernel"`    // its release, as uname -r shows it
	CPUs   int    `json:"cpus"`      // that this process may use
	Model  string `json:"cpu_model"` // as /proc/cpuinfo shows it, or the architecture
	Go     string `json:"go"`        // version that the bench was built with
	// Versions of other programs that were measured, by name.
	Versions map[string]string `json:"versions,omitempty"`
}

// A Result is one method in one scenario: all repetitions together.
type Result struct {
	Method   string `json:"method"`   // its name
	Scenario string `json:"scenario"` // its name
	// Peer tells that Method is one of Options.Peers.
	Peer bool `json:"peer,omitempty"`
	// Rate is the number of requests that were due per second; 0 means a
	// closed loop.
	Rate int `json:"rate,omitempty"`
	// Counts are sums over the repetitions, times are medians of the
	// repetitions' figures, the longest silence and every max is that of all.
	Measurement
	// LostPerRestart is the mean of requests with its 95 % interval.
	LostPerRestart Interval `json:"lost_per_restart"`
	// Repetitions are the measurements one by one, without timelines and
	// histograms: the result has the sums.
	Repetitions []*Measurement `json:"repetitions,omitempty"`
}

// A Measurement is one method in one scenario, once. Latencies and times are
// in milliseconds.
type Measurement struct {
	// Restarts that were completed: the new generation answered and the old
	// process is gone; where the new one is to fail, that the service is back.
	Restarts int `json:"restarts"`
	// Requests that were made, the lost ones included.
	Requests int            `json:"requests"`
	Lost     int            `json:"lost"`    // that were not answered
	LostBy   map[string]int `json:"lost_by"` // by "phase/kind", as in "dial/refused"
	// LostByRestart are those that ended between the command to restart and the
	// next one, for each such command.
	LostByRestart []int `json:"lost_by_restart,omitempty"`
	// Restart is the time from the command to restart to the first answer
	// of the new generation.
	Restart RestartTime `json:"restart_ms"`
	// RestartWindow is the latency of requests any part of which lies in a
	// restart window: from the command to restart to the end of the old process,
	// and in scenarios that are paced for half a second at least, so that methods
	// are compared over as many requests. Steady is that of all others after the
	// warm-up. A request that was lost counts as one that took Options.Timeout.
	Steady        Latency `json:"steady_ms"`
	RestartWindow Latency `json:"restart_window_ms"` // see Steady
	// LongestSilence is the longest time after the warm-up in which no client
	// got an answer.
	LongestSilence float64 `json:"longest_silence_ms"`
	// CPUPerRequest is processor time of all server processes, their starts
	// and ends included, in microseconds; 0 for a Target, whose processes are
	// not known.
	CPUPerRequest float64 `json:"cpu_us_per_request,omitempty"`
	// ClientFailures count requests that were not made because the client side
	// had no free port or descriptor, by kind. They are not lost, but the load
	// was less than asked for.
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
	RestartHistogram *Histogram `json:"restart_window_hdr,omitempty"` // of RestartWindow
	// Errors say why restarts failed or what was left over at the end.
	Errors []string `json:"errors,omitempty"`
}

// A Fraction is a part of a whole.
type Fraction struct {
	Part int `json:"part"` // how many
	Of   int `json:"of"`   // of so many
}

// RestartTime summarizes the times of a result's restarts, in milliseconds.
type RestartTime struct {
	P50 float64 `json:"p50"` // the median
	Max float64 `json:"max"` // the longest
}

// Latency as quantiles, in milliseconds. One of more than a minute counts as a
// minute.
type Latency struct {
	P50  float64 `json:"p50"`  // 50 % are no longer
	P99  float64 `json:"p99"`  // 99 %
	P999 float64 `json:"p999"` // 99.9 %
	Max  float64 `json:"max"`  // the longest
}

// A Skip is a method that could not run on this machine, or not in one
// scenario.
type Skip struct {
	Method   string `json:"method"`             // its name
	Scenario string `json:"scenario,omitempty"` // its name; empty for all
	Reason   string `json:"reason"`             // and what to do, where that is known
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
// errors; so is what a process that crashes takes with it, and all that peers
// do.
func (r *Report) Err() error {
	var errs []error
	for _, res := range r.Results {
		if !res.Peer {
			for _, e := range res.Errors {
				errs = append(errs, fmt.Errorf("%s %s: %s", res.Method, res.Scenario, e))
			}
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
