package reuseport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Only sockets on exactly the same address are of the group.
func TestPacketGroup(t *testing.T) {
	needIPv6(t)
	a := openPacket(t, "udp4", "127.0.0.1:0", nil)
	b := joinPacket(t, a)
	port := a.addr.Port
	strangers := []*PacketConn{
		openPacket(t, "udp4", fmt.Sprintf("127.0.0.2:%d", port), nil),
		openPacket(t, "udp4", fmt.Sprintf("0.0.0.0:%d", port), nil),
		openPacket(t, "udp6", fmt.Sprintf("[::]:%d", port), nil),
		openPacket(t, "udp", fmt.Sprintf(":%d", port), nil),
		openPacket(t, "udp6", fmt.Sprintf("[::1]:%d", port), nil),
	}
	for _, c := range append(strangers, a, b) {
		want := inodes(t, a, b)
		if slices.Contains(strangers, c) {
			want = inodes(t, c)
		}
		group, err := c.Group(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, s := range group {
			got = append(got, s.Inode)
			if int(s.UID) != os.Geteuid() {
				t.Errorf("%v: uid is %d, want %d", s.Addr, s.UID, os.Geteuid())
			}
			if pid, _, ok := s.Owner(); !ok || pid != os.Getpid() {
				t.Errorf("%v: owner is %d %t, want this process", s.Addr, pid, ok)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("group of %v has inodes %v, want %v", c.Addr(), got, want)
		}
	}
	for network, want := range map[string]int{"udp4": 4, "udp6": 3, "udp": 7, "tcp": 0} {
		all, err := Listening(t.Context(), network, port)
		if err != nil {
			t.Fatal(err)
		}
		if network != "tcp" && len(all) != want {
			t.Errorf("%d sockets of %s on the port, want %d: %v", len(all), network, want, all)
		}
		for _, s := range all {
			if network == "tcp" && slices.Contains(inodes(t, a, b), s.Inode) {
				t.Errorf("%v is listed as a TCP socket", s)
			}
		}
	}
}

func TestPacketGroupAfterClose(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	_ = c.Close()
	if _, err := c.Group(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error is %v, want net.ErrClosed", err)
	}
}

// Clients that are connected to the port, and a socket on the same port of
// another address, are not of the group.
func TestPacketGroupAmongClients(t *testing.T) {
	a := openPacket(t, "udp4", "127.0.0.1:0", nil)
	for range 3 {
		dialPacket(t, a.Addr().String())
	}
	samePort := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: a.addr.Port}}
	client, err := samePort.DialContext(t.Context(), "udp4", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	group, err := a.Group(t.Context())
	if err != nil || len(group) != 1 {
		t.Errorf("group is %v, %v, want our socket", group, err)
	}
}

// A member that connects leaves the array, where the last one takes its slot,
// so Group must not count it.
func TestPacketGroupWithAConnectedMember(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		a := openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: s})
		b, c, d := joinPacket(t, a), joinPacket(t, a), joinPacket(t, a)
		_, err := of(b.UDPConn, func(fd int) (int, error) {
			return 0, unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
		})
		if err != nil {
			t.Fatal(err)
		}
		var got [][]int
		for i := range 3 {
			steerPacket(t, a, Selection{To: Range{i, 1}})
			send(t, a.Addr().String(), 10)
			got = append(got, tally(t, 10, a, d, c))
		}
		if got[1][1] != 10 {
			t.Skipf("this kernel keeps a connected member in the array: indices 0 to 2 give %v", got)
		}
		if want := [][]int{{10, 0, 0}, {0, 10, 0}, {0, 0, 10}}; !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("received %v, want %v", got, want)
		}
		if group, err := a.Group(t.Context()); err != nil || len(group) != 3 {
			t.Errorf("group is %v, %v, want 3 sockets", group, err)
		}
	})
}

// The queue is counted in bytes, also by Group, and is empty again when it is
// read.
func TestPacketQueues(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	queue := func() Queue {
		t.Helper()
		qs, err := c.Queues()
		if err != nil || len(qs) != 1 {
			t.Fatalf("queues are %v, %v, want one", qs, err)
		}
		return qs[0]
	}
	if q := queue(); q.Len != 0 || q.Limit < 1 {
		t.Errorf("at first: %+v", q)
	}
	send(t, c.Addr().String(), 5)
	eventually(t, "five datagrams are queued", func() bool { return queue().Len >= 5*len("datagram") })
	group, err := c.Group(t.Context())
	if err != nil || len(group) != 1 || group[0].Queue.Len != queue().Len {
		t.Errorf("group is %+v, %v, want a queue of %d", group, err, queue().Len)
	}
	tally(t, 5, c)
	if q := queue(); q.Len != 0 {
		t.Errorf("read empty: %+v", q)
	}
	_ = c.CloseLast()
	if qs, err := c.Queues(); err != nil || len(qs) != 0 {
		t.Errorf("after close: %v, %v, want none", qs, err)
	}
}
