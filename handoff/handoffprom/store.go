package handoffprom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// store is the files in a control directory. Whoever writes holds the lock on
// the directory; files are replaced whole, so that reading needs none.
type store struct{ dir string }

const (
	endedName = "ended.metrics"
	tempName  = "metrics.new" // what is written, until it is whole
)

// errDamaged is matched when a file is there and makes no sense.
var errDamaged = errors.New("damaged")

func generationName(n int) string { return fmt.Sprintf("gen-%d.metrics", n) }

// lock takes the directory's flock, which a process that is killed loses. It
// waits until ctx ends.
func (s store) lock(ctx context.Context) (unlock func(), err error) {
	d, err := os.Open(s.dir)
	if err != nil {
		return nil, err
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		ok, err := tryLock(d)
		if ok {
			return func() { d.Close() }, nil
		}
		if err != nil {
			d.Close()
			return nil, fmt.Errorf("lock %s: %w", s.dir, err)
		}
		select {
		case <-ctx.Done():
			d.Close()
			return nil, fmt.Errorf("lock %s: another process holds it: %w", s.dir, context.Cause(ctx))
		case <-poll.C:
		}
	}
}

// generations lists those of which something is kept.
func (s store) generations() ([]int, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		digits, _ := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".metrics"), "gen-")
		if n, err := strconv.Atoi(digits); err == nil && n > 0 && generationName(n) == e.Name() {
			all = append(all, n)
		}
	}
	return all, nil
}

// used reports whether anything is kept.
func (s store) used() (bool, error) {
	kept, err := s.generations()
	if err != nil || len(kept) > 0 {
		return err == nil, err
	}
	_, err = os.Lstat(filepath.Join(s.dir, endedName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// generation reads what is kept of a generation, nil if nothing is.
func (s store) generation(n int) (families, error) {
	b, err := s.read(generationName(n), maxBytes)
	if err != nil || b == nil {
		return nil, err
	}
	all, err := decode(b, delimited)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", filepath.Join(s.dir, generationName(n)), errDamaged, err)
	}
	return all.onlyCumulative(), nil
}

func (s store) keep(n int, all families) error {
	var b bytes.Buffer
	if err := encode(&b, all.onlyCumulative()); err != nil {
		return err
	}
	if b.Len() > maxBytes {
		return fmt.Errorf("generation %d has %d bytes of metrics, of which at most %d are kept", n, b.Len(), maxBytes)
	}
	return s.write(generationName(n), b.Bytes())
}

func (s store) remove(n int) error { return os.Remove(filepath.Join(s.dir, generationName(n))) }

// ended reads the sums, which are empty at first, and if the file is damaged.
func (s store) ended() (*ended, error) {
	b, err := s.read(endedName, maxEnded)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return &ended{sums: families{}}, nil
	}
	e, err := parseEnded(b)
	if err != nil {
		return &ended{sums: families{}}, fmt.Errorf("%s: %w: %w", filepath.Join(s.dir, endedName), errDamaged, err)
	}
	return e, nil
}

func (s store) keepEnded(e *ended) error {
	b, err := e.format()
	if err != nil {
		return err
	}
	if len(b) > maxEnded {
		return fmt.Errorf("%s would have %d bytes, at most %d are kept", endedName, len(b), maxEnded)
	}
	return s.write(endedName, b)
}

// read returns nil if there is no such file.
func (s store) read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return b, err
}

// write replaces a file.
func (s store) write(name string, b []byte) error {
	temp := filepath.Join(s.dir, tempName)
	if err := os.WriteFile(temp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(s.dir, name))
}
