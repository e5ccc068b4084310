package reuseport

import (
	"net"
	"net/netip"
	"testing"
)

// BenchmarkPacketRead takes datagrams that wait in the queue.
func BenchmarkPacketRead(b *testing.B) {
	lc := (&Options{}).packetConfig()
	bare, err := lc.ListenPacket(b.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = bare.Close() }()
	conns := map[string]udpReader{"bare": bare.(*net.UDPConn), "PacketConn": openPacket(b, "udp4", "127.0.0.1:0", nil)}
	for _, name := range []string{"bare", "PacketConn"} {
		for how, read := range udpReads {
			b.Run(how+"/"+name, func(b *testing.B) { benchmarkPacketRead(b, conns[name], read) })
		}
	}
}

type udpReader interface {
	net.PacketConn
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
}

var udpReads = map[string]func(udpReader, []byte) error{
	"ReadFrom": func(c udpReader, b []byte) error {
		_, _, err := c.ReadFrom(b)
		return err
	},
	"ReadFromUDPAddrPort": func(c udpReader, b []byte) error {
		_, _, err := c.ReadFromUDPAddrPort(b)
		return err
	},
}

func benchmarkPacketRead(b *testing.B, c udpReader, read func(udpReader, []byte) error) {
	const batch = 100
	client := dialPacket(b, c.LocalAddr().String())
	buf := make([]byte, 64)
	b.ReportAllocs()
	b.StopTimer()
	for done := 0; done < b.N; done += batch {
		n := min(batch, b.N-done)
		for range n {
			write(b, client, "datagram")
		}
		b.StartTimer()
		for range n {
			if err := read(c, buf); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
	}
}

// BenchmarkPacketEmpty shows what a socket with nothing left costs.
func BenchmarkPacketEmpty(b *testing.B) {
	c := openPacket(b, "udp4", "127.0.0.1:0", nil)
	for b.Loop() {
		if _, err := c.Empty(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
	}
}

// A read through PacketConn allocates what one of UDPConn does.
func TestPacketReadAllocates(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	client := dialPacket(t, c.Addr().String())
	buf, payload := make([]byte, 64), []byte("datagram")
	for how, read := range udpReads {
		allocs := func(r udpReader) float64 {
			return testing.AllocsPerRun(1000, func() {
				if _, err := client.Write(payload); err != nil {
					t.Fatal(err)
				}
				if err := read(r, buf); err != nil {
					t.Fatal(err)
				}
			})
		}
		if bare, ours := allocs(c.UDPConn), allocs(c); ours > bare {
			t.Errorf("%s: %v allocations, of UDPConn %v", how, ours, bare)
		}
	}
}
