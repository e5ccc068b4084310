package reuseport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
)

// Only sockets on exactly the same address are of the group.
func TestGroup(t *testing.T) {
	needIPv6(t)
	a := open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: 2})
	b := join(t, a)
	port := a.Addr().(*net.TCPAddr).Port
	strangers := []*Listener{
		open(t, "tcp4", fmt.Sprintf("127.0.0.2:%d", port), nil),
		open(t, "tcp4", fmt.Sprintf("0.0.0.0:%d", port), nil),
		open(t, "tcp6", fmt.Sprintf("[::]:%d", port), nil),
		open(t, "tcp", fmt.Sprintf(":%d", port), nil),
		open(t, "tcp6", fmt.Sprintf("[::1]:%d", port), nil),
	}
	for _, l := range append(strangers, a, b) {
		var want []uint64
		for _, m := range []*Listener{l, a, b} {
			if m.Addr().String() != l.Addr().String() || slices.Contains(strangers, l) && m != l {
				continue
			}
			inodes, err := m.Inodes()
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, inodes...)
		}
		slices.Sort(want)
		want = slices.Compact(want)

		group, err := l.Group(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, s := range group {
			got = append(got, s.Inode)
			if int(s.UID) != os.Geteuid() {
				t.Errorf("%v: uid is %d, want %d", s.Addr, s.UID, os.Geteuid())
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("group of %v has inodes %v, want %v", l.Addr(), got, want)
		}
	}

	for network, want := range map[string]int{"tcp4": 5, "tcp6": 3, "tcp": 8} {
		all, err := Listening(t.Context(), network, port)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != want {
			t.Errorf("%d sockets of %s on the port, want %d: %v", len(all), network, want, all)
		}
	}
}

func TestGroupAfterClose(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", nil)
	_ = l.Close()
	if _, err := l.Group(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error is %v, want net.ErrClosed", err)
	}
}

func TestSocketOwner(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", nil)
	group, err := l.Group(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid, command, ok := group[0].Owner()
	if !ok || pid != os.Getpid() || command == "" {
		t.Errorf("owner is %d %q %t, want this process, %d", pid, command, ok, os.Getpid())
	}
	_ = l.Close()
	if pid, _, ok := group[0].Owner(); ok {
		t.Errorf("owner of a closed socket is %d", pid)
	}
}

func TestListeningRefuses(t *testing.T) {
	if _, err := Listening(t.Context(), "unix", 53); err == nil {
		t.Error("network unix is accepted")
	}
	for _, port := range []int{-1, 0, 1 << 16} {
		if _, err := Listening(t.Context(), "tcp", port); err == nil {
			t.Errorf("port %d is accepted", port)
		}
	}
}
