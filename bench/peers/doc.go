// Package peers has servers on the restart libraries of others, for the bench
// to measure beside its own methods. Handler, TLS and announcement are the
// bench's (bench.PeerServer); how a server is restarted is what the library's
// manual or example says. From the root of the repository:
//
//	go build -o peers/ ./bench/peers/...
//	graceport bench -full -peers peers
//
// They need Linux, as the bench does. What each library does at a restart, from
// its code:
//
// # tableflip
//
// github.com/cloudflare/tableflip: the child inherits the listener and both
// accept until it says Ready; then the parent is to call http.Server.Shutdown,
// as in the example. A child that ends before, or is not ready within a minute
// and is killed, leaves the parent serving. After Ready the parent has gone.
//
// # grace
//
// github.com/facebookgo/grace: the child inherits the listener, begins to serve
// and sends its parent TERM. The parent turns keep-alive off, closes its
// listener and waits a minute for connections to end before it closes them. A
// child that ends before leaves the parent serving, which is not told and does
// not wait for it.
//
// # endless
//
// github.com/fvbock/endless: as grace, but the child sends TERM when it has the
// listener and then serves. A parent starts a child only once: after one that
// failed it serves on and ignores HUP.
//
// Passing the listener on puts it into blocking mode, here and in grace, until
// the child inherits it. If that fails, a parent told to end does so only when
// one more connection arrives.
//
// # overseer
//
// github.com/jpillora/overseer: a master process holds the listener and serves
// nothing. At HUP the worker closes its own and tells the master by a signal,
// which then starts the next one: until that serves, connections wait in the
// accept queue. The old worker waits for its connections for 30 s. If the new
// one ends, so does the master. If the old one has ended before the master
// reads its signal, the master starts two, and later restarts reach the second
// only.
//
// The channels of signals have no buffer in endless and overseer, so a signal
// that arrives while another is dealt with is lost. With endless both
// generations then serve on; with overseer no worker is started, and the master
// ends when it passes the next signal on to the one that is gone.
package peers
