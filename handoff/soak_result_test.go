package handoff_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// soakResult is what an hour comes to.
type soakResult struct {
	Seed         uint64         `json:"seed"`
	Planned      string         `json:"planned"`
	Ran          string         `json:"ran"`
	Operations   int            `json:"operations"`
	ByKind       map[string]int `json:"by_kind"`
	Generations  int            `json:"generations"`
	LongestReign int            `json:"longest_reign"` // operations that one leader outlived
	Slowest      string         `json:"slowest"`       // operation
	Requests     int            `json:"requests"`
	Lost         int            `json:"lost"`
	LostByKill   int            `json:"lost_by_kill"` // on connections that a killed process owned; not in Lost
	Descriptors  level          `json:"descriptors"`
	Goroutines   level          `json:"goroutines"`
	Heap         level          `json:"heap_bytes"` // live at the last collection
	RSS          level          `json:"rss_bytes"`
	Files        level          `json:"files"`

	slowest time.Duration
}

// A level is the highest value that a leader showed between operations: in
// two parts of the run, and at two ages.
type level struct {
	FirstThird int `json:"first_third"`
	LastThird  int `json:"last_third"`
	Young      int `json:"young_leader"`
	Old        int `json:"old_leader"`
}

func (s *soak) measure() {
	r := &s.result
	note := func(l *level, v int) {
		for _, x := range []struct {
			max  *int
			when bool
		}{
			{&l.FirstThird, time.Since(s.began) < *soakTime/3},
			{&l.LastThird, time.Since(s.began) > *soakTime*2/3},
			{&l.Young, s.age < youngAge},
			{&l.Old, s.age >= oldAge},
		} {
			if x.when {
				*x.max = max(*x.max, v)
			}
		}
	}
	var connections serviceConnections
	err := json.Unmarshal(s.leader.Connections, &connections)
	if err != nil || connections.Goroutines == 0 {
		s.t.Errorf("%q: %v", s.leader.Connections, err)
	}
	proc := fmt.Sprintf("/proc/%d/", s.leader.PID)
	descriptors, err1 := os.ReadDir(proc + "fd")
	files, err2 := os.ReadDir(s.config.Dir)
	text, err3 := os.ReadFile(proc + "statm")
	var size, resident int
	_, err4 := fmt.Sscan(string(text), &size, &resident)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		s.t.Fatal(err)
	}
	note(&r.Descriptors, len(descriptors))
	note(&r.Goroutines, connections.Goroutines)
	note(&r.Heap, connections.Heap)
	note(&r.RSS, resident*os.Getpagesize())
	note(&r.Files, len(files))
}

func (s *soak) report() {
	r := &s.result
	r.Ran, r.Slowest = time.Since(s.began).Round(time.Second).String(), r.slowest.Round(time.Millisecond).String()
	r.Requests = s.load.total() + r.Lost + r.LostByKill
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil && *soakReport != "" {
		err = os.WriteFile(*soakReport, append(b, '\n'), 0o644)
	}
	if err != nil {
		s.t.Error(err)
	}
	s.t.Logf("%s", b)
}

// check compares the end of the run with its beginning, and old leaders with
// young ones. The slack is for the load's own connections.
func (r *soakResult) check(t *testing.T) {
	type limited struct {
		name  string
		level level
		limit func(int) int
	}
	all := []limited{
		{"descriptors", r.Descriptors, func(n int) int { return n + 24 }},
		{"goroutines", r.Goroutines, func(n int) int { return n + 40 }},
		{"bytes of live heap", r.Heap, func(n int) int { return n + 1<<20 }},
		{"files in the control directory", r.Files, func(n int) int { return n + 2 }},
	}
	// The race detector's own memory grows with what a process has done: to 200 MB
	// in 60 operations, while Go's own stays at 13.
	if !raceEnabled {
		all = append(all, limited{"resident bytes", r.RSS, func(n int) int { return n + n/2 }})
	}
	for _, x := range all {
		if limit := x.limit(x.level.FirstThird); x.level.LastThird > limit {
			t.Errorf("%s grew over the run: %+v", x.name, x.level)
		}
		if limit := x.limit(x.level.Young); x.level.Old > limit {
			t.Errorf("%s grew with a leader's age: %+v", x.name, x.level)
		}
	}
}
