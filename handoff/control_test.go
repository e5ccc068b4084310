package handoff_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// A request whose body does not come is given up, and does nothing.
func TestBodyThatDoesNotCome(t *testing.T) {
	cfg := handoff.Config{Dir: newService(t).Dir, StepTimeout: 200 * time.Millisecond}
	g := openGeneration(t, cfg)
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for _, path := range []string{"stop", "upgrade", "share", "rollback", "takeover", "nothing"} {
		for range 20 {
			waiting.Go(func() {
				conn, err := net.Dial("unix", filepath.Join(cfg.Dir, "leader"))
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patience))
				fmt.Fprintf(conn, "POST /v1/%s HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n", path)
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
					t.Errorf("POST /v1/%s: the connection stays open", path)
				}
			})
		}
	}
	waiting.Wait()
	if st := g.Status(); st.State != "leading" {
		t.Errorf("it is %s", st.State)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// The deadline for a request's body does not end the request.
func TestAnswerThatTakesLong(t *testing.T) {
	const step = 200 * time.Millisecond
	cfg := handoff.Config{Dir: newService(t).Dir, StepTimeout: step}
	cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusInternalServerError)
		case <-time.After(4 * step):
		}
	})
	g := openGeneration(t, cfg)
	for _, body := range []io.Reader{nil, io.LimitReader(zeros{}, 1000)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://test/metrics", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := operator(t, cfg.Dir).Transport(g.Number()).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("with a body %v: %s", body != nil, resp.Status)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// allStopped reads the states of threads, which go on until they notice.
func allStopped(t *testing.T, pid int) bool {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		t.Fatalf("threads of pid %d: %v, %v", pid, stats, err)
	}
	for _, stat := range stats {
		b, _ := os.ReadFile(stat)
		if _, state, _ := bytes.Cut(b, []byte(") ")); !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return true
}

// A context that has ended says nothing about a generation.
func TestStatusOfOneThatIsStopped(t *testing.T) {
	c := newService(t)
	p := start(t, c)
	p.ready()
	p.signal(syscall.SIGSTOP)
	eventually(t, "every thread has stopped", func() bool { return allStopped(t, p.cmd.Process.Pid) })
	s := operator(t, c.Dir)
	s.Timeout = 0
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all, err := s.Status(ctx)
	if err != nil || len(all) != 1 || all[0].State != handoff.StateSilent {
		t.Errorf("%+v, %v", all, err)
	}
	cancel()
	if all, err := s.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", all, err)
	}
}
