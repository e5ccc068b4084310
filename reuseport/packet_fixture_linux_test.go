package reuseport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openPacket is ListenPacket with a Close at the end of the test.
func openPacket(t testing.TB, network, address string, opts *Options) *PacketConn {
	t.Helper()
	c, err := ListenPacket(t.Context(), network, address, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// joinPacket opens another socket in the group of the first.
func joinPacket(t testing.TB, c *PacketConn) *PacketConn {
	t.Helper()
	return openPacket(t, c.network, c.Addr().String(), &Options{Strategy: c.Strategy()})
}

func steerPacket(t testing.TB, c *PacketConn, sel Selection) {
	t.Helper()
	if err := c.Steer(sel); err != nil {
		t.Fatal(err)
	}
}

// dialPacket connects a client.
func dialPacket(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.UDPConn)
}

// at is an address of a port of ours.
func at(c *PacketConn, host string) string {
	return netip.AddrPortFrom(netip.MustParseAddr(host), uint16(c.addr.Port)).String()
}

// send sends n datagrams from one client each, so that a hash would spread
// them.
func send(t testing.TB, address string, n int) {
	t.Helper()
	for range n {
		write(t, dialPacket(t, address), "datagram")
	}
}

func write(t testing.TB, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

// tally is how many datagrams each socket received, once they add up to sum.
func tally(t testing.TB, sum int, cs ...*PacketConn) []int {
	t.Helper()
	got, total := make([]int, len(cs)), 0
	eventually(t, "the datagrams arrive", func() bool {
		for i, c := range cs {
			n := takeAll(t, c)
			got[i] += n
			total += n
		}
		return total >= sum
	})
	if total != sum {
		t.Fatalf("received %v, want %d together", got, sum)
	}
	return got
}

// takeAll reads what is there, uncounted and without waiting.
func takeAll(t testing.TB, c *PacketConn) int {
	t.Helper()
	n, err := of(c.UDPConn, func(fd int) (n int, err error) {
		for ; ; n++ {
			switch _, _, err := unix.Recvfrom(fd, make([]byte, 16), unix.MSG_DONTWAIT); {
			case errors.Is(err, unix.EAGAIN):
				return n, nil
			case errors.Is(err, unix.EINTR):
				n--
			case err != nil:
				return n, err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// inodes returns those of open sockets, sorted.
func inodes(t testing.TB, cs ...*PacketConn) []uint64 {
	t.Helper()
	var out []uint64
	for _, c := range cs {
		in, err := c.Inodes()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, in...)
	}
	slices.Sort(out)
	return out
}

// holdPacket has a UDP socket as another user until stdin ends.
func holdPacket(address, uid string) {
	id, err := strconv.Atoi(uid)
	if err == nil {
		err = syscall.Setuid(id)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c, err := ListenPacket(context.Background(), "udp4", address, &Options{Strategy: None})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(c.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
