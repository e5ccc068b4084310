package reuseport

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// startPacketClients sends datagrams in a closed loop, one at a time from each
// client, and counts those that are not echoed while its patience lasts.
func startPacketClients(t testing.TB, address string, n int, patience time.Duration) *clients {
	t.Helper()
	c := &clients{stop: make(chan struct{})}
	for range n {
		conn := dialPacket(t, address)
		c.group.Go(func() {
			for seq := uint64(1); ; seq++ {
				select {
				case <-c.stop:
					return
				default:
				}
				if err := oneDatagram(conn, seq, patience); err != nil {
					c.lost.Add(1)
				} else {
					c.served.Add(1)
				}
			}
		})
	}
	return c
}

// oneDatagram waits for the echo of what it sends. The echo of an earlier one
// that was given up does not count.
func oneDatagram(conn *net.UDPConn, seq uint64, patience time.Duration) error {
	if _, err := conn.Write(binary.BigEndian.AppendUint64(nil, seq)); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for b := make([]byte, 16); ; {
		n, err := conn.Read(b)
		if err != nil {
			return err
		}
		if n == 8 && binary.BigEndian.Uint64(b) == seq {
			return nil
		}
	}
}

// echoPackets answers from several goroutines until the test ends, and takes
// its time, so that something is always on its way.
func echoPackets(t testing.TB, c *PacketConn) {
	t.Helper()
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = c.Close()
		group.Wait()
	})
	for range 3 {
		group.Go(func() {
			for b := make([]byte, 16); ; {
				n, from, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				for start := time.Now(); time.Since(start) < 20*time.Microsecond; {
				}
				_, _ = c.WriteToUDPAddrPort(b[:n], from) // the client finds out
			}
		})
	}
	eventually(t, "all read", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.inside+c.out == 3
	})
}

// retirePacket is the order of steps that loses nothing.
func retirePacket(t *testing.T, old *PacketConn) *PacketConn {
	t.Helper()
	successor := joinPacket(t, old)
	echoPackets(t, successor)
	steerPacket(t, successor, Selection{To: Range{1, 1}})
	if left, err := old.Empty(soon(t), 0); err != nil {
		t.Fatalf("%+v left: %v", left, err)
	}
	if err := old.CloseLast(); err != nil {
		t.Fatal(err)
	}
	steerPacket(t, successor, Selection{To: Range{0, 1}})
	if err := old.Delivered(soon(t)); err != nil {
		t.Fatal(err)
	}
	_ = old.Close()
	return successor
}

func TestPacketNoLoss(t *testing.T) {
	onEach(t, func(t *testing.T, network, address string, hosts []string, s Strategy) {
		restarts := 10
		if address == "127.0.0.1:0" {
			restarts = 50
		}
		conn := openPacket(t, network, address, &Options{Strategy: s})
		steerPacket(t, conn, Selection{To: Range{0, 1}})
		echoPackets(t, conn)
		var cs []*clients
		for _, host := range hosts {
			c := startPacketClients(t, at(conn, host), 16/len(hosts), 20*time.Second)
			defer c.end()
			cs = append(cs, c)
		}
		for range restarts {
			for _, c := range cs {
				c.passed(t, 50)
			}
			conn = retirePacket(t, conn)
		}
		for i, c := range cs {
			c.passed(t, 50)
			if lost := c.lost.Load(); lost > 0 {
				t.Errorf("%s: lost %d, served %d", hosts[i], lost, c.served.Load())
			}
			t.Logf("%s: served %d", hosts[i], c.served.Load())
		}
	})
}

// The controls: the same load finds the loss of a plain overlap, and of a
// successor that is steered to while nobody waits for the old socket.
func TestPacketHasteLoses(t *testing.T) {
	haste := func(t *testing.T, s Strategy) {
		conn := openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: s})
		echoPackets(t, conn)
		c := startPacketClients(t, conn.Addr().String(), 16, time.Second)
		defer c.end()
		for i := 0; i < 15 && c.lost.Load() == 0; i++ {
			if s.Steers() {
				steerPacket(t, conn, Selection{To: Range{0, 1}})
			}
			c.passed(t, 50)
			successor := joinPacket(t, conn)
			echoPackets(t, successor)
			eventually(t, "something is queued", func() bool {
				qs, err := conn.Queues()
				if err != nil {
					t.Fatal(err)
				}
				return qs[0].Len > 0
			})
			if s.Steers() {
				steerPacket(t, successor, Selection{To: Range{1, 1}})
			}
			_ = conn.CloseLast()
			conn = successor
		}
		eventually(t, "something is lost", func() bool { return c.lost.Load() > 0 })
		t.Logf("served %d, lost %d", c.served.Load(), c.lost.Load())
	}
	t.Run("plain overlap", func(t *testing.T) { haste(t, None) })
	every(t, haste)
}

// A whole process dies: what it had is lost, but the survivor serves at once,
// with no action by anyone.
func TestPacketSurvivorServes(t *testing.T) {
	every(t, func(t *testing.T, s Strategy) {
		survivor := openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: s})
		chosen := joinPacket(t, survivor)
		echoPackets(t, survivor)
		steerPacket(t, chosen, Selection{To: Range{1, 1}})
		client := dialPacket(t, survivor.Addr().String())
		write(t, client, "nobody reads")
		eventually(t, "the chosen one has it", func() bool {
			qs, err := chosen.Queues()
			return err == nil && qs[0].Len > 0
		})
		_ = chosen.Close()
		if err := oneDatagram(client, 1, 20*time.Second); err != nil {
			t.Errorf("survivor: %v", err)
		}
		if err := client.SetReadDeadline(past()); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 16)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("more than one answer: %v", err)
		}
	})
}
