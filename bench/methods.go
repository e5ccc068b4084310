package bench

import (
	"context"
	"errors"
	"slices"

	"github.com/graceport/graceport/reuseport"
)

// A method is one way to replace a serving process by its successor.
type method struct {
	name    string
	summary string

	// serve is the life of one generation, in the server process.
	serve func(ctx context.Context, s *service) error

	// restart replaces old, in the driver. It returns when the successor is
	// ready and old has been told to go.
	restart func(ctx context.Context, f *fleet, old *process) (*process, error)

	// command of a peer's server; nil means Options.Command.
	command []string

	// start, if set, starts the first generation of a program that announces
	// nothing.
	start func(ctx context.Context, f *fleet) (*process, error)

	// stop, if set, ends it when nobody waits for processes.
	stop func(ctx context.Context, f *fleet) error

	// scenarios in which it can run; nil means all that nothing else forbids.
	scenarios []string

	// networks beside TCP.
	networks []string

	// program says that it is a finished program, which does nothing for us.
	program bool

	// version names the program whose version bears on the result.
	version string

	// needs says why it cannot run on this machine and what to do, or is nil.
	needs func(ctx context.Context) error

	// prepare, if set, says that driver and servers need a network namespace
	// of their own, and sets it up from within.
	prepare func() error
}

// methods of this module, in the order in which they run.
func methods() []*method {
	everything := []string{"udp", "unix"}
	all := []*method{
		{
			name:     "stop-start",
			summary:  "end the old process, then start the new one",
			serve:    serveAlone,
			restart:  restartStopStart,
			networks: everything,
		},
		{
			name:     "reuseport-naive",
			summary:  "overlap with SO_REUSEPORT, close when the new process serves",
			serve:    serveReuseport,
			restart:  restartReuseport,
			networks: everything,
		},
		{
			name:    "reuseport-migrate",
			summary: "the same under net.ipv4.tcp_migrate_req=1",
			serve:   serveReuseport,
			restart: restartReuseport,
			prepare: prepareMigrate,
		},
		{
			name:     "fd-inherit",
			summary:  "pass the listening descriptor to a child, Shutdown in the parent",
			serve:    serveInherit,
			restart:  restartByHangup,
			networks: []string{"unix"},
		},
		{
			name:     "handoff",
			summary:  "this module's packages handoff and drain, by the strongest strategy that works",
			serve:    serveHandoff(""),
			restart:  restartByHangup,
			networks: everything,
		},
	}
	for _, s := range []struct {
		strategy reuseport.Strategy
		summary  string
		networks []string
		prepare  func() error
	}{
		{reuseport.EBPF, "the same, steering by eBPF; Unix paths by rename", everything, nil},
		{reuseport.CBPF, "the same, steering by classic BPF", []string{"udp"}, nil},
		{reuseport.Migrate, "the same, not steering, under net.ipv4.tcp_migrate_req=1", nil, prepareMigrate},
		{reuseport.None, "the same, not steering: the queue is read empty before the close", []string{"udp"}, nil},
	} {
		all = append(all, &method{
			name:     "handoff-" + string(s.strategy),
			summary:  s.summary,
			serve:    serveHandoff(s.strategy),
			restart:  restartByHangup,
			networks: s.networks,
			prepare:  s.prepare,
			needs:    func(ctx context.Context) error { return strategyWorks(ctx, s.strategy) },
		})
	}
	return append(all, nginxReload(), nginxUpgrade(), haproxyReload())
}

// methods are those of this module, and the peers.
func (o *Options) methods() []*method {
	all := methods()
	for _, p := range o.Peers {
		all = append(all, p.method())
	}
	if o.Target != nil {
		all = append(all, o.Target.method())
	}
	return all
}

// MethodNames lists the methods in the order in which they run.
func MethodNames() []string {
	var names []string
	for _, m := range methods() {
		names = append(names, m.name)
	}
	return names
}

// DefaultMethods are those that Run takes unless told otherwise.
func DefaultMethods() []string {
	return []string{"stop-start", "reuseport-naive", "reuseport-migrate", "fd-inherit", "handoff"}
}

// fullMethods name the strategies instead of whichever is the strongest here.
func fullMethods() []string {
	return slices.DeleteFunc(MethodNames(), func(name string) bool { return name == "handoff" })
}

// strategyWorks tries it. Only eBPF may not: the other two that Probe tries
// before none are set up by us.
func strategyWorks(ctx context.Context, s reuseport.Strategy) error {
	report, err := reuseport.Probe(ctx)
	if err != nil {
		return err
	}
	for _, r := range report.Unavailable {
		if r.Strategy == s && s != reuseport.Migrate {
			return &skipError{errors.New(r.Why)}
		}
	}
	return nil
}

// find returns the named element of all, or nil.
func find[T any, K comparable](all []T, name K, nameOf func(T) K) (found T) {
	for _, x := range all {
		if nameOf(x) == name {
			return x
		}
	}
	return found
}
