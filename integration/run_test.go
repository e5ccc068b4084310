package integration

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
)

// Restarts under load lose nothing; the same without steering lose.
func TestRunAnyProgram(t *testing.T) {
	const restarts = 20
	for _, x := range []struct {
		name    string
		program func(t *testing.T) program
	}{
		{"nginx", func(t *testing.T) program { return nginx(t, 2, "reuseport") }},
		{"python", func(t *testing.T) program { return python(t, nil) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := restartsUnderLoad(t, x.program(t), func(n int, _ *load) bool { return n < restarts })
			t.Logf("%d restarts: %d served, lost %v", restarts, l.served, l.lost)
			if len(l.lost) > 0 {
				t.Errorf("%d restarts lost %v of %d", restarts, l.lost, l.served)
			}
		})
		t.Run(x.name+"/control", func(t *testing.T) {
			done := 0
			l := restartsUnderLoad(t, x.program(t), func(n int, l *load) bool {
				done = n
				_, lost := l.sum()
				return n < restarts || lost == 0 && n < 10*restarts
			}, "-no-steer")
			t.Logf("%d restarts without steering: %d served, lost %v", done, l.served, l.lost)
			if len(l.lost) == 0 {
				t.Error("lost nothing: the check cannot fail")
			}
		})
	}
}

// restartsUnderLoad restarts as long as more, asked with the number of restarts
// so far, says so.
func restartsUnderLoad(t *testing.T, p program, more func(int, *load) bool, flags ...string) *load {
	t.Helper()
	r := startRun(t, p.args(flags...)...)
	r.says("msg=serving")
	l := startLoad(p.address, 32)
	stop := sync.OnceFunc(l.stop)
	defer stop()
	before := sockets(r.cmd.Process.Pid)
	for n := 0; more(n, l); n++ {
		l.pass(t, 100)
		r.restart()
	}
	l.pass(t, 100)
	if after := sockets(r.cmd.Process.Pid); after != before {
		t.Errorf("%d sockets are open, %d before", after, before)
	}
	stop()
	r.signal(syscall.SIGTERM)
	if code := r.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	return l
}

// The number of sockets changes from copy to copy, and the old one takes its
// time from one close to the next, during which it accepts nothing.
func TestRunChangesNumberOfSockets(t *testing.T) {
	for _, x := range []struct {
		name    string
		sockets []int
		late    bool // some client asks again
	}{
		{"as many or more", []int{1, 1, 3, 3, 5}, false},
		{"fewer", []int{5, 1, 4, 1, 3, 1}, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			config := func(n int) map[string]any { return map[string]any{"sockets": n, "closing": 0.05} }
			p := python(t, config(x.sockets[0]))
			r := startRun(t, p.args()...)
			r.says("msg=serving", fmt.Sprintf("sockets=%d", x.sockets[0]))
			l := startLoad(p.address, 16)
			func() {
				defer l.stop()
				for _, n := range x.sockets[1:] {
					p.set(config(n))
					l.pass(t, 100)
					r.restart()
				}
				l.pass(t, 100)
			}()
			t.Logf("%d served, %d of them after a second, lost %v", l.served, l.late, l.lost)
			if len(l.lost) > 0 {
				t.Errorf("lost %v of %d", l.lost, l.served)
			}
			// The control: clients do meet the old sockets while they close.
			if x.late && l.late == 0 {
				t.Error("nobody met a closing socket: the check cannot fail")
			}
			r.signal(syscall.SIGTERM)
			if code := r.wait(); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}
