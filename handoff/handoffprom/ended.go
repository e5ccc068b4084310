package handoffprom

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// ended is what the file ended.metrics holds: a line of JSON that says which
// generations have been added up, and their sums.
type ended struct {
	through int   // every generation up to this one has been
	except  []int // but for these
	sums    families
}

// maxEnded bounds the file. It is far more than maxSeries of a usual length.
const maxEnded = 64 << 20

type endedHeader struct {
	Through int   `json:"through"`
	Except  []int `json:"except,omitempty"`
}

func (e *ended) has(generation int) bool {
	return generation <= e.through && !slices.Contains(e.except, generation)
}

// revive excepts a generation again: it lives, so the numbers have begun anew.
func (e *ended) revive(generation int) { e.except = append(e.except, generation) }

// advance notes that the generations folded have been added up. Those in left
// have not.
func (e *ended) advance(folded, left []int) {
	e.through = slices.Max(append(folded, e.through))
	e.except = nil
	for _, n := range left {
		if n <= e.through && !slices.Contains(folded, n) {
			e.except = append(e.except, n)
		}
	}
	slices.Sort(e.except)
	e.except = slices.Compact(e.except)
}

func parseEnded(b []byte) (*ended, error) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	var h endedHeader
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fmt.Errorf("its first line: %w", err)
	}
	sums, err := decode(rest, delimited)
	if err != nil {
		return nil, err
	}
	return &ended{through: h.Through, except: h.Except, sums: sums.onlyCumulative()}, nil
}

func (e *ended) format() ([]byte, error) {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := json.NewEncoder(w).Encode(endedHeader{e.through, e.except}); err != nil {
		return nil, err
	}
	if err := encode(w, e.sums); err != nil {
		return nil, err
	}
	err := w.Flush()
	return b.Bytes(), err
}
