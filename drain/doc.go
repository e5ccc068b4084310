// Package drain lets the connections of a service end without losing a
// request, while its successor already serves new ones.
//
// A [Conns] tracks connections. They come from its Listener; an [http.Server]
// is made part of it by Server. Drain then does, in this order:
//
//  1. It ends the contexts of handlers ([Context]), calls the OnDrain hooks,
//     and has every response carry Connection: close, on HTTP/2 GOAWAY. This
//     is the lame duck: everything that arrives is still answered.
//  2. A connection that has not sent its first request may still do so. An
//     idle keep-alive connection stays open until its next request. Both are
//     closed once they were silent for IdleGrace, spread over some time if
//     they are many.
//  3. Hijacked connections (WebSocket and the like) that do not heed their
//     context are closed one by one between IdleGrace and the deadline.
//  4. When no HTTP/1 connection is left, [http.Server.Shutdown] ends HTTP/2
//     connections as their streams end.
//  5. At the deadline what is left is closed by force, and reported.
//
// # Why not http.Server.Shutdown alone
//
// Shutdown closes idle connections at once, whether or not a request is on its
// way, and drops a request that it has read when it had not yet begun to answer.
// Clients may not repeat a POST by themselves. SetKeepAlivesEnabled(false)
// closes idle connections too.
//
// # What is guaranteed
//
// An HTTP/1 client that is never silent for longer than IdleGrace and heeds
// Connection: close loses nothing, if its requests are answered before the
// deadline and new connections go to another listener. Whatever keeps sending
// new connections here keeps Drain from finishing early.
//
// An idle connection is closed only if its server has read nothing and, on
// Linux, its receive buffer is empty. A request that is on the wire at that
// moment is lost: HTTP/1 has no goodbye for connections without a request.
// IdleGrace makes it rare.
//
// Drain does not empty an accept queue. It may shut a server down, and its
// listener with it, once no connection has been accepted that it would hurt.
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
package drain
