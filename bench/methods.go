package bench

import "context"

// A method is one way to replace a serving process by its successor.
type method struct {
	name    string
	summary string

	// serve is the life of one generation, in the server process.
	serve func(ctx context.Context, s *service) error

	// restart replaces old, in the driver. It returns when the successor is
	// ready and old has been told to go.
	restart func(ctx context.Context, f *fleet, old *process) (*process, error)

	// prepare, if set, says that driver and servers need a network namespace
	// of their own, and sets it up from within.
	prepare func() error
}

func methods() []*method {
	return []*method{
		{
			name:    "stop-start",
			summary: "end the old process, then start the new one",
			serve:   serveAlone,
			restart: restartStopStart,
		},
		{
			name:    "reuseport-naive",
			summary: "overlap with SO_REUSEPORT, close when the new process serves",
			serve:   serveReuseport,
			restart: restartReuseport,
		},
		{
			name:    "reuseport-migrate",
			summary: "the same under net.ipv4.tcp_migrate_req=1",
			serve:   serveReuseport,
			restart: restartReuseport,
			prepare: prepareMigrate,
		},
		{
			name:    "fd-inherit",
			summary: "pass the listening descriptor to a child, Shutdown in the parent",
			serve:   serveInherit,
			restart: restartByHangup,
		},
		{
			name:    "handoff",
			summary: "this module's packages handoff and drain",
			serve:   serveHandoff,
			restart: restartByHangup,
		},
	}
}

// MethodNames lists the methods in the order in which they run.
func MethodNames() []string {
	var names []string
	for _, m := range methods() {
		names = append(names, m.name)
	}
	return names
}

// find returns the named element of all, or nil.
func find[T any](all []T, name string, nameOf func(T) string) (found T) {
	for _, x := range all {
		if nameOf(x) == name {
			return x
		}
	}
	return found
}
