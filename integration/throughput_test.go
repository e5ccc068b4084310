package integration

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/handoff"
)

const (
	leastShare = 0.9 // of a processor, to have it decide

	turns     = 160 // of each server
	turnTime  = 25 * time.Millisecond
	atOneTime = 4 // connections
)

// BenchmarkThroughput compares servers behind handoff, drain and both with a
// bare one, under a closed loop that saturates a processor. It fails if one
// does less than its limit of what the bare one does.
//
// The two take short turns, so that both meet the same noise. What decides is
// the processor time of a request, of server and client together, whose inverse
// is the throughput of a saturated processor. Other load only adds to it, so it
// is the mean of the cheapest quarter of the turns. The ratio of the medians is
// shown beside it, and wall-ratio, which is that of the requests a second.
// Processor time is not the same either where caches and cores are shared, so a
// machine that lends less than leastShare of a processor does not decide.
func BenchmarkThroughput(b *testing.B) {
	for _, c := range []struct {
		name           string
		handoff, drain bool
		least          float64 // of the bare server's throughput
	}{
		{"drain", false, true, 0.97},
		{"handoff", true, false, 0.98},
		{"handoff and drain", true, true, 0.95}, // the product of the two
	} {
		for _, kind := range []struct{ name, request string }{
			{"keepalive", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
			{"short", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"},
		} {
			b.Run(c.name+"/"+kind.name, func(b *testing.B) {
				bare := listenBare(b)
				go newServer(b).Serve(bare)
				ours, srv := listenBare, newServer(b)
				if c.handoff {
					ours = listenHandoff
				}
				ln := ours(b)
				served := ln
				if c.drain {
					conns := drain.New(drain.Config{})
					conns.Server(srv)
					served = conns.Listener(ln)
				}
				go srv.Serve(served)
				compareThroughput(b, bare, ln, kind.request, c.least)
			})
		}
	}
}

func newServer(b *testing.B) *http.Server {
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	})}
	b.Cleanup(func() { srv.Close() })
	return srv
}

func listenBare(b *testing.B) net.Listener {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(b.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return ln
}

// listenHandoff is a generation that leads and has nobody beside it.
func listenHandoff(b *testing.B) net.Listener {
	g, err := handoff.Open(b.Context(), handoff.Config{Dir: b.TempDir() + "/control"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { g.Close() })
	ln, err := g.Listen(b.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	if err := g.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	return ln
}

func compareThroughput(b *testing.B, bare, ours net.Listener, request string, least float64) {
	// Collections are so frequent that every turn has some.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	for b.Loop() {
		var without, with []work
		for range turns {
			without = append(without, saturate(b, bare, request))
			with = append(with, saturate(b, ours, request))
		}
		ratio := cheapest(without) / cheapest(with)
		b.ReportMetric(rate(without), "bare-req/s")
		b.ReportMetric(rate(with), "req/s")
		b.ReportMetric(ratio, "ratio")
		b.ReportMetric(median(without)/median(with), "median-ratio")
		b.ReportMetric(rate(with)/rate(without), "wall-ratio")
		b.ReportMetric(0, "ns/op")
		share := busy(append(without, with...))
		b.ReportMetric(share, "processors")
		if ratio < least && share < leastShare {
			b.Skipf("throughput is %.3f of the bare server's, but on a machine too busy to tell: we had %.2f of a processor", ratio, share)
		}
		if ratio < least {
			b.Errorf("throughput is %.3f of the bare server's, want %v", ratio, least)
		}
	}
}

// work is what was done in a turn.
type work struct {
	requests  uint64
	cpu, wall time.Duration
}

// costs are the processor times of a request, in seconds, ascending.
func costs(turns []work) (list []float64) {
	for _, w := range turns {
		list = append(list, w.cpu.Seconds()/float64(w.requests))
	}
	slices.Sort(list)
	return list
}

func median(turns []work) float64 { return costs(turns)[len(turns)/2] }

// cheapest is the mean of a quarter.
func cheapest(turns []work) (mean float64) {
	n := len(turns) / 4
	for _, c := range costs(turns)[:n] {
		mean += c / float64(n)
	}
	return mean
}

// busy is how many processors were used.
func busy(turns []work) float64 {
	var sum work
	for _, w := range turns {
		sum.cpu += w.cpu
		sum.wall += w.wall
	}
	return float64(sum.cpu) / float64(sum.wall)
}

// rate is in requests per second.
func rate(turns []work) float64 {
	var sum work
	for _, w := range turns {
		sum.requests += w.requests
		sum.wall += w.wall
	}
	return float64(sum.requests) / sum.wall.Seconds()
}

// saturate sends requests to ln for a turn.
func saturate(b *testing.B, ln net.Listener, request string) work {
	var wg sync.WaitGroup
	var done atomic.Uint64
	var stop atomic.Bool
	again := !bytes.Contains([]byte(request), []byte("close"))
	cpu, start := processorTime(), time.Now()
	for range atOneTime {
		wg.Go(func() {
			buf := make([]byte, 4096)
			for !stop.Load() {
				nc, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				for ok := true; ok && !stop.Load(); ok = again {
					io.WriteString(nc, request)
					// The answer is smaller than a segment, so it comes whole.
					if n, err := nc.Read(buf); n == 0 || buf[n-1] != '/' {
						b.Errorf("answer %q, %v", buf[:n], err)
						stop.Store(true)
					}
					done.Add(1)
				}
				nc.(*net.TCPConn).SetLinger(0) // or TIME_WAIT fills the tables
				nc.Close()
			}
		})
	}
	time.Sleep(turnTime)
	stop.Store(true)
	wg.Wait()
	return work{done.Load(), processorTime() - cpu, time.Since(start)}
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(os.NewSyscallError("getrusage", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
