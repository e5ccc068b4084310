package reuseport

import (
	"testing"
	"time"
)

// BenchmarkPacketClose is BenchmarkClose for datagrams. Closing at once loses
// nearly one in 1,000 closes, with the clients mostly waiting for it; CloseLast
// one in some 100,000, with clients at full speed:
//
//	go test -run='^$' -bench=PacketClose -benchtime=100000x ./reuseport
func BenchmarkPacketClose(b *testing.B) {
	b.Run("at once", func(b *testing.B) {
		closeStarvedPackets(b, func(c *PacketConn) error { return c.UDPConn.Close() })
	})
	b.Run("hidden", func(b *testing.B) { closeStarvedPackets(b, (*PacketConn).CloseLast) })
}

func closeStarvedPackets(b *testing.B, end func(*PacketConn) error) {
	lead := openPacket(b, "udp4", "127.0.0.1:0", nil)
	if err := lead.Steer(Selection{To: Range{0, 1}}); err != nil {
		b.Skip(err)
	}
	echoPackets(b, lead)
	c := startPacketClients(b, lead.Addr().String(), 16, time.Second)
	for b.Loop() {
		starved, err := ListenPacket(b.Context(), "udp4", lead.Addr().String(), &Options{Strategy: lead.Strategy()})
		if err != nil {
			b.Fatal(err)
		}
		if err := end(starved); err != nil {
			b.Fatal(err)
		}
	}
	c.end()
	b.ReportMetric(float64(c.lost.Load()), "lost")
	b.ReportMetric(float64(c.served.Load()), "served")
}
