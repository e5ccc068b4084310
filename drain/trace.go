package drain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/trace"
	"time"
)

// The window of the flight recorder: what goroutines did shortly before the
// deadline.
const (
	traceAge   = 10 * time.Second
	traceBytes = 8 << 20

	// traceTime bounds how long a slow disk delays the report.
	traceTime = 2 * time.Second
)

// recorder is nil where there is none.
type recorder struct {
	*trace.FlightRecorder
	conns *Conns
}

func (c *Conns) startRecorder(ctx context.Context) *recorder {
	if c.traceDir == "" {
		return nil
	}
	r := &recorder{trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: traceAge, MaxBytes: traceBytes}), c}
	if err := r.Start(); err != nil {
		c.log.ErrorContext(ctx, "drain: no flight recorder", "error", err)
		return nil
	}
	return r
}

// write ends the recording and sends the name of the file it went to, or "".
func (r *recorder) write(ctx context.Context) <-chan string {
	name := make(chan string, 1)
	if r == nil {
		name <- ""
		return name
	}
	go func() {
		path, err := r.toFile()
		r.Stop()
		if err != nil {
			r.conns.log.ErrorContext(ctx, "drain: no trace", "error", err)
		}
		name <- path
	}()
	return name
}

func (r *recorder) toFile() (path string, err error) {
	f, err := os.CreateTemp(r.conns.traceDir, "drain-*.trace")
	if err != nil {
		return "", fmt.Errorf("create trace: %w", err)
	}
	_, err = r.WriteTo(f)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("write trace: %w", err)
	}
	return f.Name(), nil
}

// stop ends a recording that nobody needs.
func (r *recorder) stop() {
	if r != nil {
		r.Stop()
	}
}
