package handoff

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// wholeShare is all new connections: shares are counted in 1/10000.
const wholeShare = 10000

// Share is one step of a plan: the successor receives Share/10000 of the new
// connections for the time Hold. With Hold 0 the share stays until it is changed
// by hand or one of the two is told to stop.
type Share struct {
	Share int      `json:"share"`          // 0 to 10000
	Hold  Duration `json:"hold,omitempty"` // not negative
}

// Duration is a time.Duration whose JSON form is text such as "1m30s".
type Duration time.Duration

// String is that of time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON writes d as time.Duration prints it.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads what time.ParseDuration reads.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

func checkPlan(plan []Share) error {
	if len(plan) > 100 {
		return fmt.Errorf("a plan of %d steps, at most 100", len(plan))
	}
	for i, s := range plan {
		if s.Share < 0 || s.Share > wholeShare {
			return fmt.Errorf("step %d of the plan: share %d is not within 0..%d", i+1, s.Share, wholeShare)
		}
		if s.Hold < 0 {
			return fmt.Errorf("step %d of the plan: hold %v is negative", i+1, s.Hold)
		}
	}
	return nil
}

// ParsePlan reads a plan such as "1%:30s,10%:1m,50%:1m", of at most 100 steps. A
// step without a time is held until it is changed by hand.
func ParsePlan(s string) ([]Share, error) {
	var plan []Share
	for _, field := range strings.Split(s, ",") {
		share, hold, timed := strings.Cut(strings.TrimSpace(field), ":")
		n, err := ParseShare(share)
		if err != nil {
			return nil, err
		}
		step := Share{Share: n}
		if timed {
			d, err := time.ParseDuration(hold)
			if err != nil || d <= 0 {
				return nil, fmt.Errorf("handoff: plan step %q: %q is not a time such as 30s", field, hold)
			}
			step.Hold = Duration(d)
		}
		plan = append(plan, step)
	}
	return plan, checkPlan(plan)
}

// ParseShare reads a percentage from "0%" to "100%", such as "0.5%", as a number
// of 1/10000.
func ParseShare(s string) (int, error) {
	text, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	v, err := strconv.ParseFloat(text, 64)
	n := int(v*100 + 0.5)
	if !percent || err != nil || !(v >= 0 && v <= 100) {
		return 0, fmt.Errorf("handoff: share %q is not a percentage from 0%% to 100%%, such as 25%%", s)
	}
	return n, nil
}
