package handoff_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// newService is a configuration with short timeouts on a port of the kernel's
// choice.
func newService(t *testing.T) serviceConfig {
	dir, err := os.MkdirTemp("", "graceport")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return serviceConfig{Dir: dir, Addrs: []string{"127.0.0.1:0"}, Step: 2 * time.Second, Ready: 10 * time.Second,
		Retire: 5 * time.Second, Drain: 20 * time.Second, Idle: 5 * time.Second}
}

func TestTakeoverUnderLoad(t *testing.T) {
	c := newService(t)
	first := start(t, c)
	a := first.ready()
	l := startLoad(t, a.addrs...)
	l.servedBy(1, 100)
	second := start(t, c)
	second.ready()
	l.servedBy(2, 100)
	if code := first.wait(); code != 0 {
		t.Errorf("the predecessor's exit status is %d", code)
	}
	leads(t, c.Dir, 2)
	l.endWithoutLoss()
}

func TestUpgradeBySignal(t *testing.T) {
	c := newService(t)
	first := start(t, c)
	a := first.ready()
	l := startLoad(t, a.addrs...)
	l.servedBy(1, 100)
	first.signal(syscall.SIGHUP)
	b := first.ready()
	if b.generation != 2 || b.pid == a.pid {
		t.Fatalf("the successor is generation %d with pid %d", b.generation, b.pid)
	}
	l.servedBy(2, 100)
	leads(t, c.Dir, 2)
	l.endWithoutLoss()
	syscall.Kill(b.pid, syscall.SIGTERM)
	eventually(t, "generation 2 ends", func() bool { return len(livingGenerations(c.Dir)) == 0 })
}

// Classic programs steer as well as eBPF. Without any the takeover works too,
// with a race that no test can claim is never lost.
func TestTakeoverByStrategy(t *testing.T) {
	for _, strategy := range []reuseport.Strategy{reuseport.CBPF, reuseport.None} {
		t.Run(string(strategy), func(t *testing.T) {
			c := newService(t)
			c.Strategy = strategy
			c.Sockets = map[int]int{1: 2, 3: 3}
			first := start(t, c)
			a := first.ready()
			c.Addrs = a.addrs
			l := startLoad(t, a.addrs...)
			l.servedBy(1, 100)
			for generation := 2; generation <= 4; generation++ {
				start(t, c).ready()
				l.servedBy(generation, 100)
				st := leads(t, c.Dir, generation)
				if got := st.Listeners[0].Strategy; got != strategy {
					t.Errorf("strategy %s is in force", got)
				}
			}
			if strategy.Steers() {
				l.endWithoutLoss()
			} else if losses := l.end(); len(losses) > 0 {
				t.Logf("lost %d of %d", len(losses), l.total())
			}
		})
	}
}
