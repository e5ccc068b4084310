package bench

import (
	"context"
	"crypto/tls"
	"slices"
	"time"
)

// A scenario is what the clients do over and over, and what the servers are
// like meanwhile. Both sides look it up by name.
type scenario struct {
	name    string
	summary string // what it does
	shows   string // and what for: the failure it provokes

	client func(t *target) client

	network  string        // tcp unless set
	restarts int           // of a repetition at most, where they take long
	conns    int           // instead of Options.Conns
	paced    bool          // open loop at half of the server's saturation unless Options.Rate says more
	window   time.Duration // of a restart at least, and of steady time after it
	tls      bool

	// What the servers do.
	acceptDelay time.Duration // after each connection
	warmup      time.Duration // before a successor serves
	path        string
	failing     failing

	patience time.Duration // of the driver, if not restartTimeout

	// prepare, if set, sets up a network namespace for driver and servers.
	prepare func() error
	// wire says that clients reach the servers over a wire with a delay.
	wire bool
}

// pacedWindow has more than a thousand requests at any sensible rate, or there
// would be no 99.9th percentile of them.
const pacedWindow = 500 * time.Millisecond

// failing is what is wrong with the new process.
type failing string

const (
	crashes failing = "crash"       // right after it is ready
	hangs   failing = "never-ready" // before
)

// A client makes one request at a time and never repeats one.
type client interface {
	// do makes one request and returns the generation that answered it.
	do(ctx context.Context) (generation int, f *failure)
	close()
}

// A target is what a client needs to know of the service.
type target struct {
	network string // empty means tcp
	addr    string
	path    string
	timeout time.Duration
	tls     *tls.Config // nil for plain connections
	// handshake is told of TLS handshakes with another generation than the
	// last one's. It may be nil.
	handshake func(resumed bool)
	// generations number the answers of a service that is not ours, which gets
	// only GETs. It may be nil.
	generations *generations
}

func scenarios() []*scenario {
	return []*scenario{
		{
			name: "short", client: newShortClient,
			summary: "connect, one GET, read to the end, close; at full speed",
			shows:   "connections reset in the accept queue of a listener that closes (first-byte/reset), or refused when nobody listens",
		},
		{
			name: "keepalive", client: newKeepaliveClient,
			summary: "POST on persistent connections; at full speed",
			shows:   "idle connections closed under a request that is on its way (first-byte/eof, first-byte/reset)",
		},
		{
			name: "short-paced", client: newShortClient, paced: true, window: pacedWindow, restarts: 1,
			summary: "short at a fixed rate, half of the server's saturation",
			shows:   "what a restart adds to latency, counted from the time a request was due",
		},
		{
			name: "keepalive-paced", client: newKeepaliveClient, paced: true, window: pacedWindow, restarts: 1,
			summary: "keepalive at a fixed rate, half of the server's saturation",
			shows:   "what a restart adds to latency on persistent connections",
		},
		{
			name: "slow-accept", client: newShortClient, acceptDelay: time.Millisecond,
			summary: "short, while the server takes 1 ms after each accept",
			shows:   "an accept queue that is never empty: all of it is reset when its listener closes",
		},
		{
			name: "slow-start", client: newShortClient, warmup: 2 * time.Second, restarts: 1,
			summary: "short, while a new process needs 2 s before it serves",
			shows:   "how long nobody answers when the old process has to go first (dial/refused, silence)",
		},
		{
			name: "crash-new", client: newShortClient, failing: crashes, restarts: 3,
			summary: "short, while every new process dies as soon as it has said that it is ready",
			shows:   "whether the old process is still there to serve (dial/refused)",
		},
		{
			name: "never-ready", client: newShortClient, failing: hangs, restarts: 1, patience: 3 * time.Second,
			summary: "short, while a new process hangs and is killed half a second later",
			shows:   "whether the old process waits for the new one before it goes (dial/refused, silence)",
		},
		{
			name: "half-open", client: newShortClient, prepare: prepareWire, wire: true, conns: 64,
			summary: "short over a wire with 10 ms in each direction, in a network namespace",
			shows:   "handshakes whose last ACK comes after the listener has closed (dial/reset, first-byte/reset)",
		},
		{
			name: "burst", client: newShortClient, prepare: prepareBurst, acceptDelay: time.Millisecond, conns: burstConns,
			summary: "120 clients at an accept queue of 128, 1 ms after each accept",
			shows:   "what becomes of an accept queue near its limit at the switch (first-byte/reset)",
		},
		{
			name: "streams", client: newShortClient, path: streamPath, restarts: 1,
			summary: "answers that take half a second each, a line every 20 ms",
			shows:   "long answers cut in the middle (response/eof, response/reset)",
		},
		{
			name: "reconnect", client: newReconnectClient, path: upgradePath, restarts: 1, conns: 1000, patience: 3 * time.Second,
			summary: "1000 upgraded connections, whose clients come back as soon as one ends",
			shows:   "whether the clients of long-lived connections come back all at once",
		},
		{
			name: "tls", client: newTLSClient, tls: true,
			summary: "short over TLS 1.3, full and resumed handshakes in turn",
			shows:   "the same as short; and whether sessions can be resumed across a restart",
		},
		{
			name: "udp", client: newDatagramClient, network: "udp",
			summary: "a datagram, and one in answer",
			shows:   "datagrams left in the queue of a socket that closes (first-byte/timeout), or sent to nobody (refused)",
		},
		{
			name: "unix", client: newShortClient, network: "unix",
			summary: "short over a Unix socket",
			shows:   "connections in the queue of a path that is bound anew (first-byte/reset), or a path that leads nowhere (dial/refused)",
		},
	}
}

// ScenarioNames lists the scenarios in the order in which they run.
func ScenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// DefaultScenarios are those that Run takes unless told otherwise.
func DefaultScenarios() []string { return []string{"short", "keepalive"} }

func (s *scenario) id() string { return s.name }

// net is the network of the service.
func (s *scenario) net() string {
	if s.network == "" {
		return "tcp"
	}
	return s.network
}

// lacks says why m cannot run in s, or is empty.
func (m *method) lacks(s *scenario) string {
	if s.network != "" && !slices.Contains(m.networks, s.network) {
		return "does not serve " + s.network + " here"
	}
	if m.scenarios != nil && !slices.Contains(m.scenarios, s.name) {
		return "wants servers of the bench"
	}
	if m.program && (s.acceptDelay > 0 || s.warmup > 0 || s.failing != "" || s.path != "") {
		return "a finished program that cannot be made slow, fail or stream here"
	}
	return ""
}
