package reuseport

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkAcceptRate is how many connections a second are accepted and closed
// from listeners of one and of two sockets, and from a bare one, while clients
// of this process connect as fast as they can. The three take short turns.
//
// It is not a limit: with the clients on the same processors the kernel's
// handshakes take most of the time, and a second socket can only help where one
// goroutine's accept(2) is what the processors wait for.
func BenchmarkAcceptRate(b *testing.B) {
	const rounds, turn = 60, 50 * time.Millisecond
	listeners := []struct {
		name string
		ln   net.Listener
	}{
		{"bare", bareListener(b)},
		{"one", open(b, "tcp4", "127.0.0.1:0", nil)},
		{"two", open(b, "tcp4", "127.0.0.1:0", &Options{Sockets: 2})},
	}
	for _, l := range listeners {
		go func() {
			for {
				c, err := l.ln.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
	}
	for b.Loop() {
		rates := map[string][]float64{}
		for range rounds {
			for _, l := range listeners {
				rates[l.name] = append(rates[l.name], connectFor(b, l.ln.Addr().String(), turn))
			}
		}
		median := func(name string) float64 { return slices.Sorted(slices.Values(rates[name]))[rounds/2] }
		ratio := func(name, to string) float64 {
			var all []float64
			for i := range rounds {
				all = append(all, rates[name][i]/rates[to][i])
			}
			return slices.Sorted(slices.Values(all))[rounds/2]
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(median("bare"), "bare-conns/s")
		b.ReportMetric(median("one"), "one-conns/s")
		b.ReportMetric(median("two"), "two-conns/s")
		b.ReportMetric(ratio("one", "bare"), "one/bare")
		b.ReportMetric(ratio("two", "one"), "two/one")
	}
}

func bareListener(b *testing.B) net.Listener {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(b.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ln.Close() })
	return ln
}

// connectFor connects and waits for the end of the connection, again and
// again, and returns how often a second.
func connectFor(b *testing.B, addr string, d time.Duration) float64 {
	const clients = 8
	var (
		wg   sync.WaitGroup
		done atomic.Int64
	)
	start := time.Now()
	for range clients {
		wg.Go(func() {
			one := make([]byte, 1)
			for time.Since(start) < d {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = c.Read(one)
				_ = c.Close()
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}
