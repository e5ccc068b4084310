// Package drain lets the connections of a service end without losing a
// request, while its successor already serves new ones.
//
// A [Conns] tracks connections. They come from its Listener; an [http.Server]
// is made part of it by Server. Drain then does, in this order:
//
//  1. It ends the contexts of handlers ([Context]) with a cause that says why
//     and until when ([Draining]), calls the OnDrain hooks, and has responses
//     carry Connection: close, on HTTP/2 GOAWAY. This is the lame duck:
//     everything that arrives is still answered. Each connection has its turn to
//     be told so, 2 ms for each that there is, at most IdleGrace and half the
//     time to the deadline, so that their clients do not all connect, and shake
//     hands for TLS, at the same time.
//  2. A connection that has not sent its first request may still do so. An
//     idle keep-alive connection stays open until its next request. Both are
//     closed once they were silent for IdleGrace, spread over some time if
//     they are many.
//  3. Long-lived connections, hijacked ones (WebSocket) and those of no
//     http.Server (SSH), end as their listener's [Policy] says: they may stay
//     until the deadline, be closed one by one, or all at once.
//  4. When no HTTP/1 connection is left, [http.Server.Shutdown] ends HTTP/2
//     connections as their streams end.
//  5. At the deadline what is left is closed by force, and reported.
//
// A service of one protocol needs no options:
//
//	conns := drain.New(drain.Config{})
//	srv := &http.Server{Handler: mux}
//	conns.Server(srv)
//	go srv.Serve(conns.Listener(ln))
//	...                                // until a successor serves
//	err := conns.Drain(ctx).Err()      // matches ErrDeadline if that passed
//
// # Why not http.Server.Shutdown alone
//
// Shutdown closes idle connections at once, whether or not a request is on its
// way, and drops a request that it has read when it had not yet begun to answer.
// Clients may not repeat a POST by themselves. SetKeepAlivesEnabled(false)
// closes idle connections too. Shutdown tells neither event streams nor long
// polls, and forgets hijacked connections.
//
// # Listeners and their options
//
// A service of several protocols gives each listener its own options:
//
//	conns := drain.New(drain.Config{Timeout: 4 * time.Hour, TraceDir: "/var/lib/hello"})
//	web := conns.ListenerWith(ln, drain.ListenerOptions{
//		Name:   "web", // WebSockets leave one by one within a minute
//		Policy: drain.Spread,
//		Window: time.Minute,
//	})
//	shell := conns.ListenerWith(sshListener, drain.ListenerOptions{
//		Name:       "ssh", // sessions may last hours, and are warned
//		WarnBefore: 10 * time.Minute,
//		OnWarn:     func(nc net.Conn, d *drain.Draining) { sessions.warn(nc, d.Deadline) },
//	})
//
// # What is guaranteed
//
// An HTTP/1 client that is never silent for longer than IdleGrace and heeds
// Connection: close loses nothing, if its requests are answered before the
// deadline and new connections go to another listener. Whatever keeps sending
// new connections here keeps Drain from finishing early. Of pipelined requests
// those after the one that was told Connection: close are not answered, as
// RFC 9112, section 9.6, has it. An HTTP/2 client loses no stream, and may
// repeat those that were refused.
//
// What draining closes by Spread goes evenly: within any 100 ms no more than 1.5
// times the even rate, if that is at least a dozen, also when the machine is too
// busy to keep to the plan. Handlers that say goodbye themselves are as even if
// they wait for their [Turn]. At the deadline there is no spreading.
//
// An idle connection is closed only if its server has read nothing and, on
// Linux, its receive buffer is empty. A request that is on the wire at that
// moment is lost: HTTP/1 has no goodbye for connections without a request.
// IdleGrace makes it rare.
//
// Drain does not empty an accept queue. It may shut a server down, and its
// listener with it, once no connection has been accepted that it would hurt.
//
// # What it costs
//
// Tracking a connection takes one allocation, of 144 bytes, and a lock that
// all connections share when it is accepted and closed. Reads and writes
// allocate nothing. A request costs one allocation, for its ResponseWriter.
// The requests of idle connections are kept as far as [ConnInfo] shows them.
//
// # What handlers notice
//
// Handlers get a ResponseWriter that wraps net/http's own. It is a Flusher,
// Hijacker, ReaderFrom, StringWriter or Pusher where that one is, and has
// Unwrap for [http.ResponseController]. [http.MaxBytesReader] does not recognize
// it, so a request body over its limit no longer closes the connection by
// itself.
//
// Connections that a Conns tracks are not *[net.TCPConn], but keep ReadFrom,
// WriteTo, CloseRead, CloseWrite and SyscallConn. NetConn returns the
// connection beneath.
//
// # Other systems
//
// Outside Linux Drain does not see what an idle connection's server has yet to
// read, and ConnInfo counts no bytes. All else is the same.
package drain
