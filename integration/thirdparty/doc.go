// Package thirdparty shows how each protocol is drained, with the servers of
// others: copy the function that fits. Its tests restart each of them twenty
// times by package handoff, under the load of a real client.
//
// All have the same frame, that of drain.Conns: listeners are tracked, what the
// protocol can say is said when draining begins, and what is left at the one
// deadline is closed by force.
//
//	protocol            function   when draining begins           at the client
//	HTTP/1.1            HTTP       Connection: close              opens another
//	HTTP/2              HTTP(S)    GOAWAY, streams finish         opens another
//	WebSocket           WebSocket  1012 between two messages      connects, sends again
//	server-sent events  Events     the response ends              Last-Event-ID
//	long polls          Poll       204                            asks again
//	gRPC                GRPC       GracefulStop                   grpc-go moves
//	SSH                 SSH        nothing, a warning, or cut     the user's choice
//	fasthttp            FastHTTP   Connection: close              opens another
//	any other           Lines      its own goodbye                sends again
//
// # HTTP
//
// Conns.Server does all of it. Handlers whose response has no end ask
// drain.Context, which ends at once, or drain.Turn, whose ends are spread over
// the Grace of the listener so that the clients do not come back all at once.
//
// # WebSocket
//
// Close waits for what is being answered. A message that was sent and not
// answered when 1012 arrives was not given to the handler, so the client may
// repeat it, whatever it does. Give the listener the policy drain.Wait: the
// default for hijacked connections closes them evenly before the deadline, for
// handlers that say nothing. coder/websocket waits five seconds for the
// client's part of the goodbye and then closes; a client that does not read for
// so long, or the deadline if that is earlier, gets no more time than that.
//
// # gRPC
//
// GracefulStop has no limit of its own: the hook's context ends at the deadline,
// and Stop with it. It also drops what was accepted and not begun, and calls that
// wait for that connection fail, so GRPC begins a moment later. Streams that
// never end last until the deadline, when their clients see Unavailable; handlers
// that can end sooner watch Conns.Draining.
//
// # SSH
//
// SSH cannot tell a client to go elsewhere, so the listener's policy decides.
// With drain.Wait, the default, users finish or are closed at the deadline;
// ListenerOptions.WarnBefore is when they are told on standard error, and
// drain.Cut with a Grace of -1 closes all at once.
//
// # fasthttp
//
// Its Shutdown closes idle connections at once, whatever is on its way, and
// answers without Connection: close unless CloseOnShutdown is set. Hence the lame
// duck before it. When Shutdown's context ends it leaves connections open, and
// serves them as if nothing had been: the drain closes them.
//
// # QUIC
//
// A QUIC connection does not survive a takeover, because the kernel steers its
// datagrams one by one, and they reach a successor that does not know it. Share
// one quic.StatelessResetKey among generations, by handoff.Config.State for
// instance: then clients are told with their next datagram and connect again,
// and do not have to wait for their idle timeout. What was under way is lost in
// either case. New connections are not affected.
package thirdparty
