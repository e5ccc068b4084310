package handoff_test

import (
	"syscall"
	"testing"
	"time"
)

// stopTime is longer than every deadline, with -short and without.
func stopTime() time.Duration {
	if testing.Short() {
		return 2500 * time.Millisecond
	}
	return 10 * time.Second
}

// A process that is stopped at any step, for longer than every deadline, is
// passed over, and finds its place when it goes on: one generation leads, the
// other ends, and nothing is lost, for what waits at a stopped process waits.
func TestStoppedAtEachStep(t *testing.T) {
	eachStep(t, func(t *testing.T, c serviceConfig, victim int, step string) {
		c.At, c.Do = map[int]string{victim: step}, "stop"
		c.Step, c.Retire, c.Ready = 400*time.Millisecond, time.Second, 1200*time.Millisecond
		first := start(t, c)
		a := first.ready()
		l := startLoad(t, a.addrs...)
		l.servedBy(1, 50)
		c.Addrs = a.addrs
		second := start(t, c)
		stopped := second
		if victim == 1 {
			stopped = first
		}
		stopped.expect("stopped ")
		<-time.After(stopTime())
		stopped.signal(syscall.SIGCONT)

		left := oneIsLeft(t, c.Dir, first, second)
		if victim == 1 && left != 2 {
			t.Errorf("generation %d leads", left)
		}
		l.servedBy(left, 50)
		third := start(t, c)
		if got := third.ready(); got.generation != 3 {
			t.Errorf("the next generation has number %d", got.generation)
		}
		l.servedBy(3, 50)
		leads(t, c.Dir, 3)
		l.endWithoutLoss()
	})
}

// A process that sends garbage at any step ends the takeover: one generation
// leads, the other drains and ends, and nothing is lost.
func TestGarbageAtEachStep(t *testing.T) {
	eachStep(t, func(t *testing.T, c serviceConfig, victim int, step string) {
		c.At, c.Do = map[int]string{victim: step}, "babble"
		first := start(t, c)
		a := first.ready()
		l := startLoad(t, a.addrs...)
		l.servedBy(1, 50)
		c.Addrs = a.addrs
		second := start(t, c)
		left := oneIsLeft(t, c.Dir, first, second)
		l.servedBy(left, 50)
		third := start(t, c)
		third.ready()
		l.servedBy(3, 50)
		leads(t, c.Dir, 3)
		l.endWithoutLoss()
	})
}

// oneIsLeft waits until one of two leads and the other has ended.
func oneIsLeft(t *testing.T, dir string, first, second *process) (left int) {
	t.Helper()
	eventually(t, "one generation leads, the other has ended", func() bool {
		if !hasEnded(first) && !hasEnded(second) {
			return false
		}
		st, err := statusOf(dir, "leader")
		left = st.Generation
		return err == nil && st.State == "leading"
	})
	return left
}

func hasEnded(p *process) bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}
