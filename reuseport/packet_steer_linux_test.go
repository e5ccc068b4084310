package reuseport

import (
	"errors"
	"net"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// onEach runs a test with each kind of address and each strategy that steers.
// The test sends to every host.
func onEach(t *testing.T, f func(t *testing.T, network, address string, hosts []string, s Strategy)) {
	tests := []struct {
		name, network, address string
		hosts                  []string
	}{
		{"ipv4", "udp4", "127.0.0.1:0", []string{"127.0.0.1"}},
		{"any ipv4", "udp4", ":0", []string{"127.0.0.1"}},
		{"ipv6", "udp6", "[::1]:0", []string{"::1"}},
		{"dual stack", "udp", ":0", []string{"127.0.0.1", "::1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.network != "udp4" {
				needIPv6(t)
			}
			every(t, func(t *testing.T, s Strategy) { f(t, tt.network, tt.address, tt.hosts, s) })
		})
	}
}

// bind(2) appends, a single index is obeyed exactly whichever socket attaches
// it, and a later program replaces an earlier one.
func TestPacketSteerExactly(t *testing.T) {
	onEach(t, func(t *testing.T, network, address string, hosts []string, s Strategy) {
		a := openPacket(t, network, address, &Options{Strategy: s})
		b, c := joinPacket(t, a), joinPacket(t, a)
		const n = 30
		for i, who := range []*PacketConn{c, a, b} {
			steerPacket(t, who, Selection{To: Range{i, 1}})
			for _, host := range hosts {
				send(t, at(a, host), n)
			}
			want := []int{0, 0, 0}
			want[i] = n * len(hosts)
			if got := tally(t, want[i], a, b, c); !slices.Equal(got, want) {
				t.Fatalf("program says %d: received %v, want %v", i, got, want)
			}
		}
	})
}

// An index beyond the array leaves the choice to the hash over all members.
func TestPacketSteerBeyond(t *testing.T) {
	onEach(t, func(t *testing.T, network, address string, hosts []string, s Strategy) {
		a := openPacket(t, network, address, &Options{Strategy: s})
		b, c := joinPacket(t, a), joinPacket(t, a)
		for _, open := range [][]*PacketConn{{a, b, c}, {a, b}} {
			steerPacket(t, a, Selection{To: Range{len(open), 1}})
			const n = 100
			send(t, at(a, hosts[0]), n)
			got := tally(t, n, open...)
			if slices.Contains(got, 0) {
				t.Errorf("received %v, want something everywhere", got)
			}
			_ = open[len(open)-1].CloseLast()
		}
	})
}

// The last member moves into the slot of one that closes.
func TestPacketSlotsMoveOnClose(t *testing.T) {
	onEach(t, func(t *testing.T, network, address string, hosts []string, s Strategy) {
		a := openPacket(t, network, address, &Options{Strategy: s})
		b, c := joinPacket(t, a), joinPacket(t, a)
		if err := a.CloseLast(); err != nil {
			t.Fatal(err)
		}
		for i, want := range [][]int{{0, 10}, {10, 0}} { // slot 0 is c, slot 1 is b
			steerPacket(t, b, Selection{To: Range{i, 1}})
			send(t, at(b, hosts[0]), 10)
			if got := tally(t, 10, b, c); !slices.Equal(got, want) {
				t.Errorf("slot %d: b and c received %v, want %v", i, got, want)
			}
		}
	})
}

// Both generations see every payload whole, whatever length the kernel pulls
// for the program.
func TestPacketSteerKeepsPayload(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		a := openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: s})
		steerPacket(t, a, Selection{To: Range{0, 1}})
		client := dialPacket(t, a.Addr().String())
		for _, size := range []int{0, 1, 7, 8, 1400, 60_000} {
			sent := make([]byte, size)
			for i := range sent {
				sent[i] = byte(i * 7)
			}
			write(t, client, string(sent))
			got := make([]byte, 1<<16)
			n, err := a.Read(got)
			if err != nil || !slices.Equal(got[:n], sent) {
				t.Errorf("%d bytes arrived as %d, %v", size, n, err)
			}
		}
	})
}

// A tenth goes to one socket and the rest evenly to three, drawn for each
// datagram of a single client.
func TestPacketSteerShare(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		const n, batch = 10_000, 50
		a := openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: s})
		members := []*PacketConn{a, joinPacket(t, a), joinPacket(t, a), joinPacket(t, a)}
		steerPacket(t, a, Selection{To: Range{0, 1}, Share: 1000, Rest: Range{1, 3}})
		client := dialPacket(t, a.Addr().String())
		sum := make([]int, len(members))
		for range n / batch {
			for range batch {
				write(t, client, "x")
			}
			for i, got := range tally(t, batch, members...) {
				sum[i] += got
			}
		}
		chi := 0.0
		for i, share := range []float64{0.1, 0.3, 0.3, 0.3} {
			d := float64(sum[i]) - share*n
			chi += d * d / (share * n)
		}
		// The quantile of chi-square with 3 degrees of freedom at 1-10^-9.
		if chi > 45.1 {
			t.Errorf("%v of %d datagrams: chi-square is %.1f", sum, n, chi)
		}
	})
}

// The CPU that sends over loopback also receives, so it decides exactly.
func TestPacketSteerByCPU(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		a := openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: s})
		b, c := joinPacket(t, a), joinPacket(t, a)
		steerPacket(t, a, Selection{To: Range{1, 2}, Balance: CPU})

		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var before unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.SchedSetaffinity(0, &before) }()

		client := dialPacket(t, a.Addr().String())
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
			for range 10 { // the first write is tried in this thread, and never has to wait
				write(t, client, "x")
			}
			want[1+cpu%2] += 10
			sum += 10
		}
		if got := tally(t, sum, a, b, c); !slices.Equal(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
	})
}

func TestPacketSteerRefuses(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: None})
	if err := c.Steer(Selection{To: Range{Count: 1}}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("strategy none: %v, want errors.ErrUnsupported", err)
	}
	c = openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: CBPF})
	if err := c.Steer(Selection{}); err == nil {
		t.Error("an empty selection is accepted")
	}
	if err := c.CloseLast(); err != nil {
		t.Fatal(err)
	}
	if err := c.Steer(Selection{To: Range{Count: 1}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("without a socket: %v, want net.ErrClosed", err)
	}
}
