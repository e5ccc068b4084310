// Package handoff replaces a running generation of a service by the next one,
// on Linux, while clients keep connecting.
//
// Every generation is a process of its own, started in any way: by its
// predecessor (Upgrade), by a shell, by another unit. It opens its own
// sockets with SO_REUSEPORT, in the same groups as its predecessor's, and a
// program in the kernel decides which of them receive new connections. The two
// find each other in a control directory and agree over a Unix socket:
//
//	successor                              predecessor
//	binds, dark, warms up, calls Ready
//	steers every group to itself
//	says so                           ──▶  goes on accepting what still arrives
//	asks it to retire                 ──▶  empties its sockets, closes them
//	leads alone                       ◀──  says so, and drains its connections
//
// # What is guaranteed
//
// While any ready generation lives, every new connection goes to a ready one.
// A listening socket closes only when no program can choose it, its accept
// queue is empty and every handshake that began while it could be chosen has
// finished, or RetireTimeout passed and what was left is reported. A
// generation that has not called Ready receives nothing. Whoever outlives the
// other serves on: a successor that crashes, hangs or gives up leaves the
// predecessor in charge, and a predecessor that crashes or is stopped is
// passed over. Every step has a deadline. At most one takeover runs at a time,
// any number of older generations may drain. A generation that is stopped with
// no successor refuses what comes after and finishes what it let in.
//
// # What is not
//
// Connections that a killed process had accepted, or that waited in its
// sockets, die with it. With a strategy that cannot steer (see package
// reuseport) a successor is not dark and a small race remains. Requests on
// established connections are the concern of package drain. A Unix path leads
// to a killed process until the other has noticed. Of UDP, datagrams are
// steered, not the connections that a protocol on top may have; and one that
// arrives in the very moment in which a socket closes may be lost (under full load
// one in some 100,000 closes, seen on Linux 6.18).
//
// # What a takeover costs
//
// A process that starts competes with those that serve for the processors. With
// Config.Yield it takes what they leave, and clients' latency is that of any other
// moment, if their connections end one by one too (package drain). Until it has
// executed its program it holds copies of our descriptors: connections that we
// close meanwhile stay open for their clients, for a millisecond or some. Emptying
// a socket costs a grace period of the kernel and some reads of /proc; one that
// stays busy, or whose clients are slow to finish their handshakes, a walk through
// the kernel's table of connections every 50 ms at most.
//
// # Other kinds of sockets
//
// [Generation.Listen] takes TCP addresses and Unix paths,
// [Generation.ListenPacket] UDP addresses. What cannot be bound twice is passed
// from one generation to the next by Config.Files, small state by Config.State.
//
// # A service
//
//	g, err := handoff.Open(ctx, handoff.Config{Dir: "/run/hello"})
//	defer g.Close()
//	ln, err := g.Listen(ctx, "tcp", ":8080")
//	go srv.Serve(ln)
//	err = g.Ready(ctx)  // all new connections come here
//	<-g.Superseded()    // a successor leads, our sockets are closed
//	...                 // drain, end
//
// [Run] wraps this order with the usual signals; its example is a whole service.
//
// # States
//
// A generation is in one of these, which [Status] and [Metrics] show:
//
//	joining    waits for the predecessor's answer
//	dark       opens its sockets and warms up, receives nothing
//	sharing    is ready and receives a share
//	probation  leads; the predecessor keeps its sockets
//	taking     leads; the predecessor empties and closes its sockets
//	leading    leads alone
//	hosting    leads; a successor has joined, and may receive a share
//	starved    a successor leads; its own sockets are still open
//	retiring   empties and closes its sockets, for a successor
//	leaving    the same, because it was told to stop or gave back
//	draining   has no sockets; its connections finish
//	ended
//
// # Control socket
//
// Dir holds a Unix socket for each generation and the link leader to that of the
// one that leads. [Service] speaks to them; so does curl --unix-socket
// /run/hello/leader http://hello/v1/status. The requests are
//
//	GET  /v1/status    a Status
//	GET  /metrics      what Config.Metrics answers
//	POST /v1/upgrade   UpgradeOptions; answers with a Progress a line
//	POST /v1/share     {"share": n}, n of 10000
//	POST /v1/rollback
//	POST /v1/stop      {"now": true} not to wait for connections
//
// in JSON of at most 64 KiB; a failure has the fields error and state. Only
// processes of the same user and of root are heard.
//
// # Requirements
//
// All generations run as one effective user, in one network namespace, and share
// Dir. On other systems than Linux the package compiles, and [Open] returns an
// error that matches errors.ErrUnsupported.
package handoff
