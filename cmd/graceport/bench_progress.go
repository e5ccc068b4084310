package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// progress shows how far a bench is: a bar on a terminal, that what servers
// say does not disturb, and otherwise a line per measurement.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	bar      string
}

var _ io.Writer = (*progress)(nil)

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

const (
	barWidth  = 30
	clearLine = "\r\x1b[K"
)

// step is a bench.Options.Step.
func (p *progress) step(done, of int, next string) {
	if !p.terminal || of == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	full := barWidth * done / of
	p.bar = fmt.Sprintf("[%s%s] %d/%d %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done, of, next)
	fmt.Fprint(p.out, clearLine+p.bar)
}

// Write writes lines above the bar.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == "" {
		return p.out.Write(b)
	}
	n := len(b)
	b = append([]byte(clearLine), b...)
	_, err := p.out.Write(append(b, p.bar...))
	return n, err
}

// end leaves the terminal as it was.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != "" {
		fmt.Fprint(p.out, clearLine)
		p.bar = ""
	}
}
