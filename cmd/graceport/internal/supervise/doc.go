// Package supervise runs a program as the first process of a container does:
// it forwards signals, reaps orphans and ends with the program's exit status.
//
// Without addresses the program is expected to replace itself, as services on
// package handoff do: the old process starts the new one and ends. The
// supervisor adopts the new one, learns from "MAINPID=" on its notification
// socket whom signals now concern, and ends with the last one.
//
// With addresses it restarts programs that know nothing of graceport and only
// set SO_REUSEPORT. Copies of the program are told apart by the sockets that
// their processes hold. Steering needs a descriptor of a socket in the group;
// the supervisor borrows one with pidfd_getfd(2) for one system call and closes
// it, since an open descriptor would keep the socket listening. With n sockets
// of the old copy and m of the new one, a restart goes:
//
//  1. attach "only 0 to n-1", before the new copy adds its sockets at n;
//  2. start the new copy, wait until it listens and is ready;
//  3. attach "only n to n+m-1", wait until the old sockets are empty;
//  4. attach "only n", and tell the old copy to stop;
//  5. when its sockets have closed, attach an index that no group has, which
//     the kernel takes for "any": sockets that the program opens later receive
//     too.
//
// Step 4 is there because a closing socket's slot is taken by the last of the
// array, and the old copy closes its sockets in an order of its own. If m is
// not less than n, slot n keeps its socket until the last of the old ones
// closes, and is beyond the array after that, which the kernel takes for "any".
// If m is less, "any" may include old sockets while they close: those are first
// made to drop what arrives, so that a client that hits one asks again after a
// second (the SYN's retransmission) instead of being reset.
//
// If the new copy fails before step 4, the old one serves on, and step 5 is done
// for it. If the old one ends before that, the new one leads at once, ready or
// not, but the restart has succeeded only when it is ready.
//
// It does not wait for what the old copy has accepted: that is the program's
// own graceful stop. A program that drops accepted connections when it is told
// to stop goes on doing so.
package supervise
