package drain

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults for the zero fields of a [Config].
const (
	DefaultTimeout   = 30 * time.Second // of Config.Timeout
	DefaultIdleGrace = 5 * time.Second  // of Config.IdleGrace
)

// Config bounds a drain. Its zero value is ready to use.
type Config struct {
	// Timeout is how long after the start of draining the connections that
	// are left are closed by force. 0 or less means DefaultTimeout.
	Timeout time.Duration

	// IdleGrace is how long, while draining, a connection stays open that
	// waits for a request: since its last response, its accept, its last
	// received byte or the start of draining, whichever came last. A client
	// that never pauses longer loses nothing. It should be well below Timeout,
	// which it does not extend. 0 or less means DefaultIdleGrace.
	IdleGrace time.Duration

	// TraceDir is a directory that exists. If it is not "", the runtime's
	// flight recorder runs while draining, and if the deadline passes, what it
	// holds is written to a new file there, of about 8 MiB at the most, named
	// in Report.Trace. A recorder that the service runs already makes it
	// impossible; that and other errors are logged.
	TraceDir string

	// Logger receives one line when draining begins and one when it ends, and
	// errors of tracing. nil discards them.
	Logger *slog.Logger
}

// Conns tracks the connections of one generation of a service and drains
// them, once. Its methods may be called at the same time. Make one with [New].
type Conns struct {
	timeout, grace time.Duration
	traceDir       string
	log            *slog.Logger
	epoch          time.Time // connection times are kept relative to it

	begun context.Context // ends when draining begins
	begin context.CancelCauseFunc

	lame    atomic.Bool   // begun has ended
	leaving time.Duration // set before lame, like started: see leaves
	turns   atomic.Uint64 // given by Turn

	wake   chan struct{} // the last connection or a hook is gone
	hurry  chan struct{} // closed: the deadline is now
	done   chan struct{} // closed: report is set
	report *Report

	mu       sync.Mutex
	list     conn // sentinel of a ring, oldest first
	open     int
	stats    []*listenerStats
	servers  []*server
	used     bool // a listener or server was ever given
	hooks    []func(context.Context)
	hookCtx  context.Context // set when draining begins
	running  int             // hooks
	hurried  bool
	reason   string
	started  time.Time
	deadline time.Time
	ended    time.Time
}

// New returns an empty set of connections. It starts no goroutine, and there is
// nothing to close.
func New(cfg Config) *Conns {
	c := &Conns{
		timeout:  cfg.Timeout,
		grace:    cfg.IdleGrace,
		traceDir: cfg.TraceDir,
		log:      cfg.Logger,
		epoch:    time.Now(),
		wake:     make(chan struct{}, 1),
		hurry:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.grace <= 0 {
		c.grace = DefaultIdleGrace
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.begun, c.begin = context.WithCancelCause(context.Background())
	c.list.next, c.list.prev = &c.list, &c.list
	return c
}

// Draining returns a channel that is closed when draining begins.
func (c *Conns) Draining() <-chan struct{} { return c.begun.Done() }

// Context returns a context that ends when draining begins, with a [*Draining]
// as its cause. It is for what outlives a request, such as the handler of a
// hijacked connection; others use the function [Context].
func (c *Conns) Context() context.Context { return c.begun }

func (c *Conns) draining() bool { return c.lame.Load() }

// Server makes srv's connections part of the drain. Call it before Serve and
// after setting srv's other fields; serve from a listener of c, since others'
// connections are left to Shutdown. It chains Handler, ConnState, ConnContext and
// BaseContext: the states of connections are followed, responses carry
// Connection: close while draining, each connection's from its turn on, and
// request contexts know c, for [Context]. If TLSNextProto is nil, it is set to
// net/http's own HTTP/2, so that Drain can say GOAWAY. Drain ends by shutting srv
// down, so Serve returns http.ErrServerClosed. Several servers may be given; one
// that is given again is ignored.
func (c *Conns) Server(srv *http.Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.servers, func(s *server) bool { return s.Server == srv }) {
		return
	}
	c.used = true
	c.servers = append(c.servers, c.attach(srv))
}
