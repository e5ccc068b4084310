package reuseport

import (
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// every runs a test with each strategy that steers.
func every(t *testing.T, f func(t *testing.T, s Strategy)) {
	for _, s := range steering(t) {
		t.Run(string(s), func(t *testing.T) { f(t, s) })
	}
}

// A single index is obeyed exactly, whichever socket attaches it, and a later
// program replaces an earlier one.
func TestSteerExactly(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		a := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: s})
		b, c := join(t, a), join(t, a)
		const n = 30
		want := []int{0, 0, 0}
		for i, who := range []*Listener{c, a, b} {
			steer(t, who, Selection{To: Range{i, 1}})
			for range n {
				dial(t, a.Addr().String())
			}
			want[i] = n
			if got := queued(t, n*(i+1), a, b, c); !slices.Equal(got, want) {
				t.Fatalf("program says %d: queues are %v, want %v", i, got, want)
			}
		}
	})
}

// A tenth goes to one socket and the rest evenly to three.
func TestSteerShare(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		const n = 10_000
		a := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: s})
		members := []*Listener{a, join(t, a), join(t, a), join(t, a)}
		steer(t, a, Selection{To: Range{0, 1}, Share: 1000, Rest: Range{1, 3}})
		got := serveAll(t, members, n)
		chi := 0.0
		for i, share := range []float64{0.1, 0.3, 0.3, 0.3} {
			d := float64(got[i]) - share*n
			chi += d * d / (share * n)
		}
		// The quantile of chi-square with 3 degrees of freedom at 1-10^-9.
		if chi > 45.1 {
			t.Errorf("%v of %d connections: chi-square is %.1f", got, n, chi)
		}
	})
}

// serveAll makes n connections and returns how many each listener accepted.
func serveAll(t *testing.T, members []*Listener, n int) []int {
	t.Helper()
	got := make([]int, len(members))
	var all, group sync.WaitGroup
	all.Add(n)
	for i, l := range members {
		group.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
				got[i]++
				all.Done()
			}
		})
	}
	for range n {
		c, err := net.Dial("tcp", members[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	all.Wait()
	for _, l := range members {
		_ = l.Close()
	}
	group.Wait()
	return got
}

// The CPU that sends over loopback also receives, so it decides exactly.
func TestSteerByCPU(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		a := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: s})
		b, c := join(t, a), join(t, a)
		steer(t, a, Selection{To: Range{1, 2}, Balance: CPU})

		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var before unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.SchedSetaffinity(0, &before) }()

		want, sum := []int{0, 0, 0}, 0
		for cpu := range 64 {
			if !before.IsSet(cpu) {
				continue
			}
			var one unix.CPUSet
			one.Set(cpu)
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				connect(t, a.Addr().(*net.TCPAddr).Port)
			}
			want[1+cpu%2] += 10
			sum += 10
		}
		if got := queued(t, sum, a, b, c); !slices.Equal(got, want) {
			t.Errorf("queues are %v, want %v", got, want)
		}
	})
}

// connect opens a connection in the calling thread, where net.Dial may use
// another.
func connect(t *testing.T, port int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	for {
		err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		if err == nil || errors.Is(err, unix.EISCONN) {
			return
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EALREADY) {
			t.Fatal(err)
		}
	}
}

// When the chosen sockets die, those that are left serve.
func TestSteerToTheDead(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		a := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: s})
		b, c := join(t, a), join(t, a)
		steer(t, a, Selection{To: Range{2, 1}})
		dial(t, a.Addr().String())
		if got := queued(t, 1, a, b, c); got[2] != 1 {
			t.Fatalf("queues are %v, want the connection in the last", got)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		const n = 50
		for range n {
			dial(t, a.Addr().String())
		}
		queued(t, n, a, b)
	})
}

// The last member moves into the slot of one that closes.
func TestSlotsMoveOnClose(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		a := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: s})
		b, c := join(t, a), join(t, a)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		for i, want := range [][]int{{0, 10}, {10, 10}} { // slot 0 is c, slot 1 is b
			steer(t, b, Selection{To: Range{i, 1}})
			for range 10 {
				dial(t, b.Addr().String())
			}
			if got := queued(t, 10*(i+1), b, c); !slices.Equal(got, want) {
				t.Errorf("after slot %d: queues of b and c are %v, want %v", i, got, want)
			}
		}
	})
}

func TestSteerRefuses(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: None})
	if err := l.Steer(Selection{To: Range{Count: 1}}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("strategy none: %v, want errors.ErrUnsupported", err)
	}
	l = open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: CBPF})
	if err := l.Steer(Selection{}); err == nil {
		t.Error("an empty selection is accepted")
	}
	if err := l.CloseLast(); err != nil {
		t.Fatal(err)
	}
	if err := l.Steer(Selection{To: Range{Count: 1}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("without a socket: %v, want net.ErrClosed", err)
	}
}

// A process that drops root goes on steering, unless it insisted on eBPF.
func TestSteerAfterPrivilegesAreGone(t *testing.T) {
	if os.Geteuid() != 0 || try(EBPF) != nil {
		t.Skip("needs root and eBPF")
	}
	if data, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled"); err != nil || data[0] == '0' {
		t.Skip("eBPF needs no privilege here")
	}
	for strategy, want := range map[Strategy]string{"": "ebpf cbpf false", EBPF: "ebpf ebpf true"} {
		if got := child(t, "drop", string(strategy)); got != want {
			t.Errorf("strategy %q: before, after, permission error: %s, want %s", strategy, got, want)
		}
	}
}
