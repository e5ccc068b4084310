// Package reuseport opens sockets that share a TCP or UDP address with those of
// other processes, decides which of them receive new handshakes and datagrams,
// and closes a socket only when nothing is left in it.
//
// # The idea
//
// Sockets that set SO_REUSEPORT and bind the same address form a group, an
// array in the order of listen(2). A program attached to the group through any
// member returns, for each SYN, the index of the member that receives it. So a
// new generation of a service can bind sockets of its own while the old one
// serves, stay dark until it is ready, take everything or a share with one
// system call, and give it back with another:
//
//	ln, err := reuseport.Listen(ctx, "tcp", ":8080", nil)
//	// The old generation has n sockets, so ours is at index n.
//	err = ln.Steer(reuseport.Selection{To: reuseport.Range{First: n, Count: 1}})
//
// If the chosen sockets die, the index points beyond the array, and the kernel
// falls back to its hash over the members that are left.
//
// # Closing without loss
//
// SO_REUSEPORT has a reputation for losing connections, because close(2) resets
// what a listening socket still holds: connections in its accept queue, and
// handshakes that it began, whose last packet goes to it whatever the program
// says by then. The order of steps that loses nothing is: [Listener.Steer] to
// others, [Listener.Empty], [Listener.CloseLast], and Steer again since the
// indices have moved. Sockets close from the last to the first, which keeps
// those of a successor contiguous.
//
// An accepted connection may still be on its way through Accept after its
// socket has closed; [Listener.Delivered] waits for it. When all sockets are
// closed, Accept blocks until Close, so that a server that treats its error as
// fatal can finish what it serves.
//
// # Strategies
//
// Listen picks the strongest of these that works, found out by trying:
//
//   - ebpf steers exactly. It needs CAP_BPF.
//   - cbpf steers exactly and needs nothing. Kernels without the fix for
//     CVE-2026-52910 may run a classic program after it was freed, so it is to
//     be replaced seldom.
//   - migrate needs net.ipv4.tcp_migrate_req=1 (Linux 5.14). It cannot steer,
//     but what a closing socket holds moves to another member.
//   - none cannot steer. Empty and CloseLast shrink the loss of a plain overlap
//     to the connections that arrive between the two.
//
// # UDP
//
// [ListenPacket] opens a member of a UDP group, which obeys the same programs;
// bind(2) is what appends to its array. Each datagram is steered by itself: no
// connection stays behind, and a session of a protocol such as QUIC or DTLS does
// not either, so its next datagram meets a generation that does not know it.
//
// What can be lost are datagrams in the queue of a socket that closes, and
// answers on their way, because they have to leave from that socket.
// [PacketConn.Empty] waits for both. It takes a reader that comes back for one
// that has answered; a server that answers in other goroutines calls
// [PacketConn.Hold] for each datagram.
//
// # Limits
//
// All members of a group must belong to one effective user as it was when the
// sockets were made; [InUseError] names who is in the way. Whoever attaches
// last decides, so the processes of a group have to agree, for instance with
// package handoff. Outside Linux the package compiles, and whatever opens a
// socket or asks the kernel returns an error that matches
// errors.ErrUnsupported.
package reuseport
