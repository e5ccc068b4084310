package drain_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

const (
	// perProcess keeps clients below what the race detector can follow.
	perProcess = 2500
	attempts   = 3
	spreadOver = 10 * time.Second
	mostEven   = 1.5 // times the even rate
	tolerable  = 20 * time.Millisecond
)

// clientsMain has n clients upgrade a connection to one address, and dial the
// other as soon as that ends. It prints a line when all are connected and, when
// all have come back, one with the longest time that this process was not
// running: its clients then come in a crowd, whoever closed their connections.
func clientsMain() {
	older, newer := os.Args[1], os.Args[2]
	n, _ := strconv.Atoi(os.Args[3])
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "client:", err)
			os.Exit(1)
		}
	}
	var back sync.WaitGroup
	for range n {
		nc, err := net.Dial("tcp", older)
		fail(err)
		io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		fail(err)
		if resp.StatusCode != http.StatusSwitchingProtocols {
			fail(fmt.Errorf("status %s", resp.Status))
		}
		back.Go(func() {
			nc.Read(make([]byte, 1))
			_, err := net.Dial("tcp", newer)
			fail(err)
			nc.Close()
		})
	}
	fmt.Println("connected")
	stalls := watchStalls()
	back.Wait()
	fmt.Println(stalls())
	io.Copy(io.Discard, os.Stdin)
}

// watchStalls measures how late this process's timers are.
func watchStalls() (worst func() time.Duration) {
	stop, result := make(chan struct{}), make(chan time.Duration)
	go func() {
		const every = time.Millisecond
		var worst time.Duration
		last := time.Now()
		for {
			select {
			case <-stop:
				result <- worst
				return
			case <-time.After(every):
			}
			now := time.Now()
			worst = max(worst, now.Sub(last)-every)
			last = now
		}
	}()
	return func() time.Duration { close(stop); return <-result }
}

// reconnects drains n upgraded connections and returns how many times the even
// rate of n over spreadOver their clients reached another listener at within
// the fullest 100 ms, and the longest stall of a process meanwhile.
func reconnects(t *testing.T, n int, opts drain.ListenerOptions) (peak float64, stall time.Duration) {
	s := &service{
		Conns: drain.New(drain.Config{Timeout: 2 * spreadOver}),
		srv: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
			if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
				t.Error(err)
			}
		})},
		options: opts,
	}
	s.start(t, listen(t))
	newer := listen(t)
	defer newer.Close()

	var children []*child
	for rest := n; rest > 0; rest -= perProcess {
		children = append(children, start(t, "clients", s.addr, newer.Addr().String(), strconv.Itoa(min(rest, perProcess))))
	}
	for _, c := range children {
		c.line(t)
	}
	wait(func() bool { return s.Snapshot().Open.Hijacked == n })

	arrivals := make(chan []time.Time)
	go func() {
		var at []time.Time
		for range n {
			nc, err := newer.Accept()
			if err != nil {
				t.Error(err)
				break
			}
			at = append(at, time.Now())
			defer nc.Close()
		}
		arrivals <- at
	}()
	stalls := watchStalls()
	r := s.Drain(t.Context())
	defer time.AfterFunc(4*spreadOver, func() { newer.Close() }).Stop() // if some stay away
	at := <-arrivals
	stall = stalls()
	if r.Err() != nil || r.Closed != (drain.Outcomes{Cut: uint64(n)}) {
		t.Errorf("report %+v", r)
	}
	for _, c := range children {
		d, err := time.ParseDuration(c.line(t))
		if err != nil {
			t.Fatal(err)
		}
		stall = max(stall, d)
	}

	slices.SortFunc(at, time.Time.Compare)
	from := 0
	for to := range at {
		for at[to].Sub(at[from]) >= 100*time.Millisecond {
			from++
		}
		peak = max(peak, float64(to-from+1))
	}
	return peak / (float64(n) * float64(100*time.Millisecond) / float64(spreadOver)), stall
}

// Clients that reconnect at once reach the successor evenly.
func TestSpreadReconnects(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 2000
	}
	var worst time.Duration
	for range attempts {
		peak, stall := reconnects(t, n, drain.ListenerOptions{Policy: drain.Spread, Grace: -1, Window: spreadOver})
		t.Logf("%d clients: %.2f times the even rate in the fullest 100 ms, the longest stall %v", n, peak, stall)
		if peak <= mostEven {
			return
		}
		if worst = max(worst, stall); stall < tolerable {
			t.Fatalf("%.2f times the even rate, want %v", peak, mostEven)
		}
	}
	t.Skipf("the machine is too busy to tell: in %d attempts, processes did not run for up to %v", attempts, worst)
}

// The control: closed all at once, they arrive all at once.
func TestSpreadReconnectsControl(t *testing.T) {
	peak, _ := reconnects(t, 1000, drain.ListenerOptions{Policy: drain.Cut, Grace: -1})
	t.Logf("%.2f times the even rate in the fullest 100 ms", peak)
	if peak <= 2*mostEven {
		t.Errorf("closed all at once, they reach %.2f times the even rate; the test is not able to fail", peak)
	}
}
