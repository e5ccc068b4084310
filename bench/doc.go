// Package bench restarts a real HTTP service under load, by several methods,
// and reports what the clients noticed.
//
// Every generation is a process of its own, started from this program's own
// executable, whose main leads to Serve. The handler, the load, the machine and
// the run are the same for every method, so the method is the only difference:
//
//   - stop-start ends the old process, then starts the new one;
//   - reuseport-naive lets both bind with SO_REUSEPORT and closes the old
//     listener once the new process serves;
//   - reuseport-migrate is the same under net.ipv4.tcp_migrate_req=1, in a
//     network namespace of its own, and is skipped where none can be made;
//   - fd-inherit hands the listening descriptor to a child process and calls
//     http.Server.Shutdown in the parent;
//   - handoff uses the packages handoff and drain, by the strongest strategy
//     that works; handoff-ebpf, -cbpf, -migrate and -none by the one they name;
//   - nginx-reload, nginx-upgrade and haproxy-reload are what the manuals of
//     these programs recommend, where they are installed.
//
// Servers of others join as peers (Options.Peers): any program that takes the
// flags that the bench gives it, announces each generation on stdout, replaces
// itself at HUP and ends at TERM; PeerServer is that for programs in Go. A
// service that knows nothing of the bench is measured as a Target, by shell
// commands that start and restart it.
//
// List says what each scenario does and what it shows. In short a client
// connects, sends one GET, reads to the end and closes. In keepalive it POSTs
// on a persistent connection and reconnects when an answer says "Connection:
// close", or when it sees before sending that the server has closed the idle
// connection; neither counts as a loss. The others slow down or break the
// servers, or go over TLS, UDP, Unix sockets, or a wire on which packets take
// their time.
//
// A closed loop at full speed (the default) provokes losses. With a rate, and
// in the scenarios that are paced, the loop is open: requests are due at fixed
// times, and latency is counted from the time a request was due, so a server
// that stalls cannot hide it by delaying the requests that would have shown it.
// There latency in a restart is that of the half second, at least, from the
// command on, and steady latency that of as long a time after it: a method that is
// done sooner is not judged by fewer requests, nor one that takes longer by more.
//
// Clients speak HTTP/1.1 on raw connections and never retry. A request that
// fails is counted as lost, by phase (dial, handshake, write, first-byte,
// response) and kind (refused, reset, eof, timeout, other). In latencies it counts
// as one that took the timeout. What fails on the clients' own side, for want
// of ports or descriptors, is kept apart, and ends the run above one in a
// thousand.
//
// Repetitions are interleaved: each is the whole matrix. Counts are their sums,
// times the medians of their figures, with the range beside them. The interval
// of the losses per restart is exact if losses come one by one, and too narrow
// where they come in clusters; Compare takes that into account.
//
// What the numbers do not say: clients and servers share the processors of one
// machine and talk over loopback, so latencies compare methods and are not
// those of a deployment; the clients collect garbage some three times a second at
// full speed, up to 0.8 ms each, which is in every latency, steady ones too; and a
// method that lost nothing here lost nothing in this many restarts.
//
// # A program
//
// The command graceport is one. Another has to let its own copies serve, or they
// would run the bench again:
//
//	if len(os.Args) > 2 && os.Args[1] == "bench" && os.Args[2] == "serve" {
//		return bench.Serve(ctx, os.Args[3:]...)
//	}
//	report, err := bench.Run(ctx, &bench.Options{Methods: []string{"handoff"}})
//	if err != nil {
//		return err
//	}
//	report.Table(os.Stdout)
//	return report.Err()
//
// The bench runs on Linux. Elsewhere the package compiles, and Run, Serve and
// NewPeerServer return an error that matches errors.ErrUnsupported.
package bench
