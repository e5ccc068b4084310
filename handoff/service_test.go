package handoff_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/handoff"
	"github.com/graceport/graceport/reuseport"
)

const serviceEnv = "GRACEPORT_TEST_SERVICE"

// serviceConfig is what a generation under test does. Maps are by generation.
type serviceConfig struct {
	Dir       string
	Addrs     []string // TCP, or others with their network, see endpoint
	Sockets   map[int]int
	Strategy  reuseport.Strategy
	Command   []string
	Behaviour map[int]string // exit, hang before joining, unready, deaf, helped, unwell once that file is in Dir
	// At does something, kill or stop, at a step of a generation.
	At      map[int]string // generation: step
	Do      string
	Trace   bool // write step names to trace-N
	Step    time.Duration
	Ready   time.Duration
	Retire  time.Duration
	Drain   time.Duration
	Idle    time.Duration
	Plan    []handoff.Share
	Probate time.Duration
	Yield   time.Duration
	// MaxDraining is Config.MaxDraining.
	MaxDraining int
}

// nextBehaviour is a file in the control directory. It gives the next generation
// its behaviour, which removes it.
const nextBehaviour = "next-behaviour"

// serviceConnections is what the service shows of itself in its status.
type serviceConnections struct {
	drain.Snapshot
	Goroutines int `json:"goroutines"`
	Heap       int `json:"heap"` // bytes that the last collection found alive
}

func newServiceConnections(conns *drain.Conns) serviceConnections {
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(heap)
	return serviceConnections{conns.Snapshot(), runtime.NumGoroutine(), int(heap[0].Value.Uint64())}
}

// The lines that a generation prints.
type announcement struct {
	generation int
	pid        int
	addrs      []string
}

func (c serviceConfig) env() string {
	b, _ := json.Marshal(c)
	return serviceEnv + "=" + string(b)
}

func runService(config string) error {
	var c serviceConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	next := nextGeneration(c.Dir)
	behaviour := c.Behaviour[next]
	if path := filepath.Join(c.Dir, nextBehaviour); behaviour == "" {
		b, _ := os.ReadFile(path)
		behaviour = string(b)
		os.Remove(path)
	}
	switch behaviour {
	case "exit":
		return fmt.Errorf("configuration file missing")
	case "hang":
		select {}
	}
	if c.Yield > 0 && next > 1 {
		time.Sleep(200 * time.Millisecond) // time for it to be made to yield, as warming up is
	}
	conns := drain.New(drain.Config{Timeout: c.Drain, IdleGrace: c.Idle, Logger: log})
	cfg := handoff.Config{
		Dir: c.Dir, Strategy: c.Strategy, Command: c.Command, Logger: log,
		StepTimeout: c.Step, ReadyTimeout: c.Ready, RetireTimeout: c.Retire,
		Plan: c.Plan, Probation: c.Probate, Yield: c.Yield, MaxDraining: c.MaxDraining,
		Connections: func() any { return newServiceConnections(conns) },
	}
	if behaviour == "unwell" {
		cfg.Health = func(context.Context) error {
			if _, err := os.Stat(filepath.Join(c.Dir, "unwell")); err == nil {
				return errors.New("the database does not answer")
			}
			return nil
		}
	}
	cfg.OnStep(c.hook(next))
	err := handoff.Run(context.Background(), cfg, func(ctx context.Context, g *handoff.Generation) error {
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%d %d\n", g.Number(), os.Getpid())
		})}
		conns.Server(srv)
		var addrs []string
		for _, addr := range c.Addrs {
			network, address := endpoint(addr)
			if strings.HasPrefix(network, "udp") {
				conn, err := g.ListenPacket(ctx, network, address)
				if err != nil {
					return err
				}
				addrs = append(addrs, network+"="+conn.LocalAddr().String())
				go answerDatagrams(conn, g.Number())
				continue
			}
			o := &handoff.ListenOptions{}
			if strings.HasPrefix(network, "tcp") {
				o.Sockets = c.Sockets[g.Number()]
			}
			ln, err := g.ListenWith(ctx, network, address, o)
			if err != nil {
				return err
			}
			addrs = append(addrs, strings.TrimPrefix(network+"="+ln.Addr().String(), "tcp="))
			if network == "unixpacket" {
				go answerMessages(conns.Listener(ln), g.Number())
				continue
			}
			if behaviour != "deaf" { // one that never accepts
				go srv.Serve(conns.Listener(ln))
			}
		}
		if behaviour == "helped" {
			helper := exec.Command("cat")
			if _, err := helper.StdinPipe(); err != nil { // it ends when we do
				return err
			}
			if err := helper.Start(); err != nil {
				return err
			}
			fmt.Printf("helper %d\n", helper.Process.Pid)
		}
		if behaviour == "unready" {
			<-ctx.Done()
			return ctx.Err()
		}
		if err := g.Ready(ctx); err != nil {
			return err
		}
		fmt.Printf("ready generation=%d pid=%d addrs=%s\n", g.Number(), os.Getpid(), strings.Join(addrs, ","))
		<-g.Superseded()
		report := conns.Drain(ctx)
		if err := g.Err(); err != nil {
			fmt.Printf("gave up generation=%d: %v\n", g.Number(), err)
		}
		return report.Err()
	})
	fmt.Printf("ended generation=%d error=%v\n", next, err)
	return err
}

// endpoint splits an address such as udp=127.0.0.1:53. Without a network it is
// TCP.
func endpoint(addr string) (network, address string) {
	network, address, ok := strings.Cut(addr, "=")
	if !ok {
		return "tcp", addr
	}
	return network, address
}

// answerDatagrams sends each datagram back with our number before it.
func answerDatagrams(conn net.PacketConn, generation int) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		conn.WriteTo(fmt.Appendf(nil, "%d %s", generation, buf[:n]), from)
	}
}

// answerMessages does the same on connections of one message. HTTP does not fit:
// net/http reads a byte ahead, which takes the whole message. The client closes
// first, see reuseport.ListenUnix.
func answerMessages(ln net.Listener, generation int) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 1500)
			if n, err := conn.Read(buf); err == nil {
				conn.Write(fmt.Appendf(nil, "%d %s", generation, buf[:n]))
				conn.Read(buf)
			}
		}()
	}
}

// nextGeneration guesses our number before we have joined.
func nextGeneration(dir string) int {
	target, _ := os.Readlink(filepath.Join(dir, "leader"))
	var pid, highest int
	lock, _ := os.ReadFile(filepath.Join(dir, "lock"))
	fmt.Sscan(string(lock), &pid, &highest)
	sockets, _ := filepath.Glob(filepath.Join(dir, "gen-*.sock"))
	for _, s := range append(sockets, target) {
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(s), "gen-"), ".sock"))
		highest = max(highest, n)
	}
	return highest + 1
}

// hook returns what is called at every step.
func (c serviceConfig) hook(generation int) func(*handoff.Generation, string) {
	var trace io.Writer = io.Discard
	if c.Trace {
		f, err := os.OpenFile(filepath.Join(c.Dir, fmt.Sprintf("trace-%d", generation)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err == nil {
			trace = f
		}
	}
	done := false
	return func(g *handoff.Generation, step string) {
		fmt.Fprintln(trace, step)
		if done || step != c.At[generation] {
			return
		}
		done = true
		switch c.Do {
		case "kill":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // it takes a moment
		case "babble":
			g.Babble()
		case "stop":
			fmt.Printf("stopped generation=%d pid=%d\n", generation, os.Getpid())
			syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
	}
}
