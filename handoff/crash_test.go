package handoff_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// A scenario is a takeover whose steps are made to fail one by one.
type scenario struct {
	name      string
	configure func(*serviceConfig)
}

// longest is the scenario whose steps include all kinds.
const longest = "share and probation"

var scenarios = []scenario{
	{"one socket", func(*serviceConfig) {}},
	{"three sockets, then two", func(c *serviceConfig) { c.Sockets = map[int]int{1: 3, 2: 2, 3: 3} }},
	{longest, func(c *serviceConfig) {
		c.Plan = []handoff.Share{{Share: 2000, Hold: handoff.Duration(50 * time.Millisecond)}, {Share: 5000, Hold: handoff.Duration(50 * time.Millisecond)}}
		c.Probate = 100 * time.Millisecond
		c.Addrs = append(c.Addrs, "unix="+filepath.Join(c.Dir, "stream"), "udp=127.0.0.1:0")
	}},
}

// steps lists what the generation does in an undisturbed takeover, as the code
// itself tells: from its start as the successor (2) or from the hello that
// it receives as the predecessor (1).
func steps(t *testing.T, s scenario) map[int][]string {
	c := newService(t)
	s.configure(&c)
	c.Trace = true
	c.Step = 4 * patience // no heartbeat: only a takeover that stalls lasts until one
	first := start(t, c)
	first.ready()
	leads(t, c.Dir, 1)
	before := len(trace(t, c.Dir, 1))
	second := start(t, c)
	second.ready()
	first.wait()
	leads(t, c.Dir, 2)
	all := map[int][]string{1: trace(t, c.Dir, 1)[before:], 2: trace(t, c.Dir, 2)}
	for generation, names := range all {
		slices.Sort(names)
		names = slices.Compact(names)
		if len(names) < 10 {
			t.Fatalf("generation %d took only these steps: %q", generation, names)
		}
		all[generation] = names
	}
	return all
}

func trace(t *testing.T, dir string, generation int) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("trace-%d", generation)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// eachStep runs do for every step of either side.
func eachStep(t *testing.T, do func(t *testing.T, c serviceConfig, victim int, step string)) {
	for _, s := range scenarios {
		if testing.Short() && s.name != longest {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			all := steps(t, s)
			for victim, names := range all {
				for _, step := range names {
					t.Run(fmt.Sprintf("generation %d %s", victim, step), func(t *testing.T) {
						t.Parallel()
						c := newService(t)
						s.configure(&c)
						c.Trace = true
						do(t, c, victim, step)
					})
				}
			}
		})
	}
}

// A killed process takes only its own connections with it, the other goes on,
// and the next takeover works.
func TestKilledAtEachStep(t *testing.T) {
	eachStep(t, func(t *testing.T, c serviceConfig, victim int, step string) {
		c.At, c.Do = map[int]string{victim: step}, "kill"
		addrs := c.Addrs
		first := start(t, c)
		a := first.ready()
		l := startLoad(t, a.addrs...)
		l.servedBy(1, 50)
		c.Addrs = a.addrs
		before := time.Now()
		second := start(t, c)
		killed, survivor := second, 1
		if victim == 1 {
			killed, survivor = first, 2
		}
		killed.wait()
		if s := killed.cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
			t.Fatalf("generation %d ended by itself: %v", victim, killed.cmd.ProcessState)
		}
		after := time.Now()

		retired := slices.Contains(trace(t, c.Dir, 1), "retiring/tell-retired before")
		if victim == 2 && retired {
			// It led alone: nobody was left to go on. The next one must
			// not be in its way.
			l.end()
			first.wait()
			c.Addrs = addrs // nobody holds the ports: a client may be given one
			third := start(t, c)
			if got := third.ready(); got.generation <= 2 {
				t.Errorf("the next generation has number %d", got.generation)
			}
			return
		}
		leads(t, c.Dir, survivor)
		moved := time.Now()
		l.servedBy(survivor, 50)
		third := start(t, c)
		if got := third.ready(); got.generation != 3 {
			t.Errorf("the next generation has number %d", got.generation)
		}
		l.servedBy(3, 50)
		leads(t, c.Dir, 3)
		checkLosses(t, l.end(), c, victim, step, before, after, moved)
	})
}

// checkLosses allows a killed process the connections that it owned: those
// begun before it was gone, no more than a client can have at a time, and
// again while it dies; nothing that begins later, in the next takeover, may be
// lost. A successor that was never chosen owned none. If the
// predecessor dies before the successor has bound everything, nobody listens until then. A
// path leads to the dead process until the survivor has moved it.
func checkLosses(t *testing.T, losses []loss, c serviceConfig, victim int, step string, before, after, moved time.Time) {
	t.Helper()
	unbound := victim == 1 && (strings.HasPrefix(step, "leading/") || strings.HasPrefix(step, "hosting/host-bound"))
	owned := 0
	if victim == 1 || chosen(t, c.Dir) {
		owned = 2 * loadClients
	}
	var wrong []loss
	for _, x := range losses {
		if unbound && x.began.Before(moved) && errors.Is(x.err, syscall.ECONNREFUSED) {
			continue
		}
		var at *net.OpError
		if owned > 0 && x.began.Before(moved) && errors.As(x.err, &at) && at.Net == "unix" && errors.Is(x.err, syscall.ECONNREFUSED) {
			continue
		}
		if owned--; owned < 0 || x.began.After(after) {
			wrong = append(wrong, x)
		}
	}
	if len(wrong) > 0 {
		t.Errorf("lost %d that were not the killed process's (killed between %v and %v): %s", len(wrong),
			before.Format("05.000"), after.Format("05.000"), summary(wrong))
	}
}

// chosen reports whether generation 2 had begun to steer.
func chosen(t *testing.T, dir string) bool {
	names := strings.Join(trace(t, dir, 2), "\n")
	return strings.Contains(names, "/steer before") || strings.Contains(names, "/share before")
}
