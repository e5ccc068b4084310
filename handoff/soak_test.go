package handoff_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// An hour is go test -timeout=0 -run=TestSoak ./handoff -soak=1h -v.
var (
	soakTime   = flag.Duration("soak", 10*time.Second, "how long TestSoak runs")
	soakReport = flag.String("soak.report", "", "the file that TestSoak keeps its report in, as JSON")
	soakSeed   = flag.Uint64("soak.seed", 0, "what TestSoak's choices follow from; 0 takes one from the clock")
)

const (
	soakInterval = 300 * time.Millisecond
	// A leader is young before its 4th operation, and old from its 32nd on.
	youngAge, oldAge = 4, 32
	// blame is how long after a kill a client may find its connection dead.
	blame = 5 * time.Second
)

// An operation is one thing that happens to a service. Those that change the
// leader must do so, the others must not.
type operation struct {
	name      string
	weight    int
	changes   bool
	behaviour string // of the next generation
	do        func(*soak, context.Context) error
}

var operations = []operation{
	{"upgrade", 2, true, "", func(s *soak, ctx context.Context) error { return s.service.Upgrade(ctx, nil) }},
	{"successor by hand", 2, true, "", func(s *soak, _ context.Context) error { return s.start() }},
	{"predecessor killed in probation", 2, true, "", func(s *soak, ctx context.Context) error {
		return s.onProbation(ctx, func(handoff.Progress) error { return s.kill(s.leader.PID) })
	}},
	{"successor exits", 4, false, "exit", (*soak).failedUpgrade},
	{"successor never ready", 1, false, "unready", (*soak).failedUpgrade},
	{"rollback", 5, false, "", func(s *soak, ctx context.Context) error {
		return s.onProbation(ctx, func(handoff.Progress) error { return s.service.Rollback(ctx) })
	}},
	{"successor killed in probation", 5, false, "", func(s *soak, ctx context.Context) error {
		return s.onProbation(ctx, func(p handoff.Progress) error { return s.kill(p.PID) })
	}},
}

// failedUpgrade is an upgrade that the leader must report as failed.
func (s *soak) failedUpgrade(ctx context.Context) error {
	if err := s.service.Upgrade(ctx, nil); !errors.Is(err, handoff.ErrUpgradeFailed) {
		return fmt.Errorf("the upgrade ended with %v, not as failed", err)
	}
	return nil
}

// onProbation calls do when the successor leads and can still be rolled back.
// The upgrade fails then, or its answer breaks off.
func (s *soak) onProbation(ctx context.Context, do func(handoff.Progress) error) error {
	reached := false
	var failed error
	err := s.service.Upgrade(ctx, &handoff.UpgradeOptions{Probation: handoff.Duration(patience), Progress: func(p handoff.Progress) {
		if p.Event == "leading" {
			reached, failed = true, do(p)
		}
	}})
	if !reached || err == nil {
		return fmt.Errorf("the upgrade ended with %v, it was on probation: %v", err, reached)
	}
	return failed
}

// soak is a service that never comes to rest.
type soak struct {
	t       *testing.T
	config  serviceConfig
	service *handoff.Service
	rng     *rand.Rand
	load    *load
	out     *outputs
	running sync.WaitGroup // the processes that we started

	leader handoff.Status
	age    int // operations that the leader has outlived
	reign  int // those after which it is replaced
	kills  []kill
	began  time.Time
	result soakResult
}

// A kill explains the losses of the connections that its process owned.
type kill struct {
	gone  time.Time
	owned int // at most so many more
}

// A service that is upgraded, and whose upgrades fail, are rolled back or
// killed, all the time, loses nothing but what a killed process owned, and
// neither the run nor a leader's age lets anything grow.
func TestSoak(t *testing.T) {
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < *soakTime+time.Minute {
		t.Fatalf("-soak=%v needs a longer -timeout", *soakTime)
	}
	s := newSoak(t)
	s.load = startLoad(t, s.leader.Listeners[0].Address)
	defer s.load.end()
	s.load.servedBy(1, 5000)
	s.settle("warming up", false) // it has collected garbage
	s.began = time.Now()
	s.measure() // a short run may be over its first third before an operation is
	tick := time.NewTicker(soakInterval)
	defer tick.Stop()
	reported := s.began
	for time.Since(s.began) < *soakTime && !t.Failed() {
		<-tick.C
		s.operate()
		if time.Since(reported) > max(*soakTime/60, 5*time.Second) {
			reported = time.Now()
			s.report()
		}
	}
	s.load.end()
	s.judge("the end")
	s.stop()
	s.report()
	s.result.check(t)
	if t.Failed() {
		t.Logf("the last output of the service:\n%s", strings.Join(s.out.tail(), "\n"))
	}
}

func newSoak(t *testing.T) *soak {
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-soak.seed=%d", seed)
	s := &soak{t: t, config: newService(t), rng: rand.New(rand.NewPCG(seed, 0)), out: newOutputs(t)}
	s.result = soakResult{Seed: seed, Planned: soakTime.String(), ByKind: map[string]int{}}
	s.config.Ready = 3 * time.Second // a successor that is never ready takes that long
	var err error
	if s.service, err = handoff.NewService(s.config.Dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pid := range livingGenerations(s.config.Dir) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		s.running.Wait()
	})
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.settle("the start", true)
	return s
}

// start starts a generation by hand. It inherits its output to those that it
// starts itself.
func (s *soak) start() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), s.config.env())
	cmd.Stdout, cmd.Stderr = s.out.w, s.out.w
	if err := cmd.Start(); err != nil {
		return err
	}
	s.running.Go(func() { cmd.Wait() })
	return nil
}

// kill ends a process and waits until its sockets are gone.
func (s *soak) kill(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %d: %w", pid, err)
	}
	if !handoff.AwaitExit(pid, patience) {
		return fmt.Errorf("process %d does not die", pid)
	}
	// One for each client, and again while it dies.
	s.kills = append(s.kills, kill{gone: time.Now(), owned: 2 * loadClients})
	return nil
}

// choose takes an operation. Half of the leaders are replaced at once, others
// live through as many as 128 operations that leave them in place: only they
// can show that something grows with each.
func (s *soak) choose() operation {
	var fit []operation
	for _, o := range operations {
		if o.changes == (s.age+1 >= s.reign) {
			fit = slices.Concat(fit, slices.Repeat([]operation{o}, o.weight))
		}
	}
	return fit[s.rng.IntN(len(fit))]
}

func (s *soak) operate() {
	o := s.choose()
	began := time.Now()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	next := filepath.Join(s.config.Dir, nextBehaviour)
	if o.behaviour != "" {
		if err := os.WriteFile(next, []byte(o.behaviour), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := o.do(s, ctx); err != nil {
		s.t.Errorf("%s, generation %d: %v", o.name, s.leader.Generation, err)
		return
	}
	s.settle(o.name, o.changes)
	if _, err := os.Stat(next); err == nil {
		s.t.Errorf("%s: no successor was started", o.name)
	}
	s.result.Operations++
	s.result.ByKind[o.name]++
	s.result.slowest = max(s.result.slowest, time.Since(began))
	s.judge(o.name)
	s.measure()
}

// settle waits until one generation leads and every other has ended.
func (s *soak) settle(after string, changed bool) {
	s.t.Helper()
	var all []handoff.Status
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		all, _ = s.service.Status(s.t.Context())
		if len(all) == 1 && all[0].State == "leading" && all[0].Leader && (all[0].PID != s.leader.PID) == changed {
			break
		}
		if time.Now().After(deadline) {
			s.t.Logf("the last output of the service:\n%s", strings.Join(s.out.tail(), "\n"))
			s.t.Fatalf("%s: %v later these live, and generation %d led before: %+v", after, patience, s.leader.Generation, all)
		}
		<-tick.C
	}
	s.leader = all[0]
	s.age++
	if changed {
		s.age, s.reign = 0, 1
		if s.rng.IntN(2) == 0 {
			s.reign = 1 << s.rng.IntN(8)
		}
	}
	s.result.Generations = s.leader.Generation
	s.result.LongestReign = max(s.result.LongestReign, s.age)
}

// judge blames every new loss on a kill, or on us.
func (s *soak) judge(after string) {
	s.load.mu.Lock()
	losses := s.load.losses
	s.load.losses = nil
	s.load.mu.Unlock()
	s.kills = slices.DeleteFunc(s.kills, func(k kill) bool { return k.owned == 0 || time.Since(k.gone) > blame })
	var wrong []loss
	for _, x := range losses {
		i := slices.IndexFunc(s.kills, func(k kill) bool { return k.owned > 0 && x.began.Before(k.gone) })
		if i < 0 {
			wrong = append(wrong, x)
			continue
		}
		s.kills[i].owned--
		s.result.LostByKill++
	}
	s.result.Lost += len(wrong)
	if len(wrong) > 0 {
		s.t.Errorf("%s at %s: generation %d leads, lost %d that no killed process owned: %s", after,
			time.Now().Format("05.000"), s.leader.Generation, len(wrong), summary(wrong))
	}
}

// stop ends the service as an operator does.
func (s *soak) stop() {
	if s.t.Failed() {
		return
	}
	if err := s.service.Stop(s.t.Context(), 0, false); err != nil {
		s.t.Error(err)
	}
	eventually(s.t, "the last generation ends", func() bool { return len(livingGenerations(s.config.Dir)) == 0 })
}
