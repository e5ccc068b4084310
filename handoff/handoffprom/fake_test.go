package handoffprom

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// patience bounds every wait of a test; a test that needs it has failed.
const patience = 30 * time.Second

// controlDir is short enough for a socket.
func controlDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "handoffprom")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// fake is a generation as others see it: a control socket.
type fake struct {
	n     int
	dir   string
	reg   *prometheus.Registry
	srv   *http.Server
	asked atomic.Int64
	hung  atomic.Pointer[chan struct{}] // an answer waits until it is closed
}

func (f *fake) hang() (goOn func()) {
	c := make(chan struct{})
	f.hung.Store(&c)
	return sync.OnceFunc(func() {
		f.hung.Store(nil)
		close(c)
	})
}

func newFake(t *testing.T, dir string, n int, metrics http.Handler) *fake {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketPath(dir, n), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	f := &fake{n: n, dir: dir, reg: prometheus.NewRegistry()}
	if metrics == nil {
		metrics = promhttp.HandlerFor(f.reg, promhttp.HandlerOpts{})
	}
	f.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if c := f.hung.Load(); c != nil {
			select {
			case <-*c:
			case <-r.Context().Done():
				return
			}
		}
		metrics.ServeHTTP(w, r)
	})}
	go f.srv.Serve(ln)
	t.Cleanup(f.kill)
	return f
}

func socketPath(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("gen-%d.sock", n)) }

// kill leaves the socket's path, as SIGKILL does.
func (f *fake) kill() { f.srv.Close() }

// end keeps the last numbers and ends.
func (f *fake) end(t *testing.T) {
	t.Helper()
	last, err := snapshot(f.reg)
	if err == nil {
		err = NewGatherer(f.dir, nil).keep(f.n, last)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.close()
}

func (f *fake) close() {
	os.Remove(socketPath(f.dir, f.n))
	f.kill()
}

// counter returns a counter that the generation shows.
func (f *fake) counter(name string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "Things."})
	f.reg.MustRegister(c)
	return c
}

// patient is a gatherer for tests in which everybody answers.
func patient(dir string) *Gatherer { return NewGatherer(dir, &Options{Timeout: patience}) }

func gather(t *testing.T, g *Gatherer) families {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := families{}
	for _, f := range all {
		if out[f.GetName()] != nil {
			t.Errorf("the family %s comes twice", f.GetName())
		}
		out[f.GetName()] = f
		seen := map[string]bool{}
		for _, m := range f.Metric {
			if key := keyOf(m); seen[key] {
				t.Errorf("the series %s %q comes twice", f.GetName(), key)
			} else {
				seen[key] = true
			}
		}
	}
	return out
}

// text is all as Prometheus gets it.
func text(t *testing.T, all families) string {
	t.Helper()
	var b strings.Builder
	for _, f := range all.sorted() {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func wantText(t *testing.T, all families, want string) {
	t.Helper()
	if got := strings.TrimSpace(text(t, all)); got != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}

// total is the sum of a counter over the generations.
func total(all families, name string) (sum float64) {
	f := all[name]
	if f == nil {
		return 0
	}
	for _, m := range f.Metric {
		sum += m.GetCounter().GetValue()
	}
	return sum
}

func histogramOf(t *testing.T, h prometheus.Histogram) *dto.Histogram {
	t.Helper()
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.Histogram
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
}
