package supervise

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"testing"

	"github.com/graceport/graceport/reuseport"
)

// After spread every socket of the group receives, those that are opened later
// included; after keep, the control, they starve.
func TestSpread(t *testing.T) {
	for _, strategy := range []reuseport.Strategy{reuseport.EBPF, reuseport.CBPF} {
		t.Run(string(strategy), func(t *testing.T) {
			l, first := listening(t, "tcp4", "127.0.0.1:0")
			port := int(first.Addr.Port())
			s := &supervisor{settings: &settings{}, strategy: strategy}
			self := &process{Process: &os.Process{Pid: os.Getpid()}}
			groups := []*group{{news: []reuseport.Socket{first}}}
			err := s.keep(self, groups)
			if errors.Is(err, fs.ErrPermission) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				late, err := reuseport.Listen(t.Context(), "tcp4", l.Addr().String(), nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { late.Close() })
			}
			if got := receiving(t, port, l.Addr()); got != 1 {
				t.Errorf("%d sockets receive after keep", got)
			}
			if err := s.spread(self, groups); err != nil {
				t.Fatal(err)
			}
			if got := receiving(t, port, l.Addr()); got != 4 {
				t.Errorf("%d sockets receive after spread", got)
			}
		})
	}
}

// receiving counts the sockets whose queue grows by any of 200 connections.
func receiving(t *testing.T, port int, a net.Addr) (n int) {
	t.Helper()
	queues := func() map[uint64]int {
		all, err := reuseport.Listening(context.Background(), "tcp", port)
		if err != nil {
			t.Fatal(err)
		}
		lens := map[uint64]int{}
		for _, x := range all {
			lens[x.Inode] = x.Queue.Len
		}
		return lens
	}
	before := queues()
	for range 200 {
		c, err := net.Dial("tcp", a.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for inode, after := range queues() {
		if after > before[inode] {
			n++
		}
	}
	return n
}
