package handoff_test

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// outputs keeps the last lines that the generations wrote, and fails the test
// for those that a program writes when it breaks.
type outputs struct {
	w *os.File

	mu   sync.Mutex
	last []string
}

const outputLines = 400

func newOutputs(t *testing.T) *outputs {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := &outputs{w: w}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer r.Close()
		for s := bufio.NewScanner(r); s.Scan(); {
			line := s.Text()
			o.mu.Lock()
			if o.last = append(o.last, line); len(o.last) > 2*outputLines {
				o.last = slices.Clone(o.last[outputLines:])
			}
			o.mu.Unlock()
			if strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
				t.Errorf("a generation wrote %q", line)
			}
		}
	}()
	t.Cleanup(func() { // after that of the processes, which hold the other ends
		w.Close()
		<-read
	})
	return o
}

func (o *outputs) tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.last)
}
