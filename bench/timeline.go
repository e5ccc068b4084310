package bench

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
)

// A Timeline counts what ended around the restarts of a measurement, laid over
// each other at the command to restart: slot i covers the time from From + i*Step,
// in milliseconds.
type Timeline struct {
	From int    `json:"from_ms"` // of slot 0; negative, as it begins before the command
	Step int    `json:"step_ms"` // from slot to slot
	Old  series `json:"old"`     // answers of the generation that is replaced, or older
	New  series `json:"new"`     // and of younger ones
	Lost series `json:"lost"`    // requests that nobody answered
}

const (
	timelineStep   = 10
	timelineBefore = 100
	timelineMost   = 3000
)

// A series is a number per slot; in JSON one string, since a result has many.
type series []int

func (s series) MarshalText() ([]byte, error) {
	var b []byte
	for i, n := range s {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return b, nil
}

func (s *series) UnmarshalText(b []byte) error {
	*s = nil
	for field := range bytes.FieldsSeq(b) {
		n, err := strconv.Atoi(string(field))
		if err != nil {
			return fmt.Errorf("bench: timeline: %w", err)
		}
		*s = append(*s, n)
	}
	return nil
}

// moments are what a recorder keeps for the timeline.
type moments struct {
	start   time.Time
	ended   map[moment]int
	windows []window
}

type moment struct{ ms, generation int }

// lostMoment stands for the generation of what nobody answered.
const lostMoment = -1

type window struct {
	open, close time.Time
	youngest    int // generation when it opened
}

func (m *moments) add(now time.Time, generation int) {
	m.ended[moment{int(now.Sub(m.start).Milliseconds()), generation}]++
}

// timeline lays the windows over each other. It is as long as most of them,
// and a while more.
func (m *moments) timeline() *Timeline {
	if len(m.windows) == 0 {
		return nil
	}
	longest := 0
	for _, w := range m.windows {
		longest = max(longest, int(w.close.Sub(w.open).Milliseconds()))
	}
	slots := (min(longest+timelineBefore, timelineMost) + timelineBefore) / timelineStep
	t := &Timeline{From: -timelineBefore, Step: timelineStep, Old: make(series, slots), New: make(series, slots), Lost: make(series, slots)}
	for at, n := range m.ended {
		for _, w := range m.windows {
			offset := at.ms - int(w.open.Sub(m.start).Milliseconds()) + timelineBefore
			slot := offset / timelineStep
			switch {
			case offset < 0 || slot >= slots:
			case at.generation == lostMoment:
				t.Lost[slot] += n
			case at.generation <= w.youngest:
				t.Old[slot] += n
			default:
				t.New[slot] += n
			}
		}
	}
	return t
}

// crowd is the most answers of a new generation within a time, after any one
// restart.
func (m *moments) crowd(within time.Duration) (most int) {
	for i, w := range m.windows {
		from, to := w.open.Sub(m.start).Milliseconds(), int64(math.MaxInt64)
		if i+1 < len(m.windows) {
			to = m.windows[i+1].open.Sub(m.start).Milliseconds()
		}
		at := map[int64]int{}
		for e, n := range m.ended {
			if ms := int64(e.ms); e.generation > w.youngest && ms >= from && ms < to {
				at[ms] += n
			}
		}
		for first := range at {
			sum := 0
			for ms := range within.Milliseconds() {
				sum += at[first+ms]
			}
			most = max(most, sum)
		}
	}
	return most
}

// add lays other over t.
func (t *Timeline) add(other *Timeline) {
	for _, s := range []struct{ to, from *series }{{&t.Old, &other.Old}, {&t.New, &other.New}, {&t.Lost, &other.Lost}} {
		for len(*s.to) < len(*s.from) {
			*s.to = append(*s.to, 0)
		}
		for i, n := range *s.from {
			(*s.to)[i] += n
		}
	}
}
