package drain_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/graceport/graceport/drain"
)

const manyGrace = 5 * time.Second

// serverReply is what the server tells of a command.
type serverReply struct {
	Addrs   []string
	Objects int64 // bytes of the heap
	Stacks  int64
	InUse   int64 // both, and what is lost between them, which varies
	Sys     int64
	Took    time.Duration
	CPU     time.Duration // processor time of it
	Open    drain.States
	Report  *drain.Report
}

// serverMain is an http.Server, behind drain or bare, on as many loopback
// addresses as its arguments say, of which each may have a table of descriptors
// apart. Once it has as many idle connections as they say, it does what it reads
// from its standard input, a command a line, and prints a serverReply for each,
// the first unasked.
func serverMain() {
	tracked, apart := os.Args[1] == "drain", os.Args[2] == "apart"
	n, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		panic(err)
	}
	var idle atomic.Int64
	conns := drain.New(drain.Config{IdleGrace: manyGrace, Timeout: 2 * time.Minute})
	srv := &http.Server{Handler: http.HandlerFunc(echo), ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateIdle {
			idle.Add(1)
		}
	}}
	if tracked {
		conns.Server(srv)
	}
	var reply serverReply
	listen := func(ip string) (net.Listener, error) { return net.Listen("tcp", ip+":0") }
	if apart {
		listen = listenApart
	}
	for _, ip := range os.Args[4:] {
		ln, err := listen(ip)
		if err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(1)
		}
		reply.Addrs = append(reply.Addrs, ln.Addr().String())
		if tracked {
			ln = conns.Listener(ln)
		}
		go func() {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				fmt.Fprintln(os.Stderr, "server:", err)
				os.Exit(1)
			}
		}()
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(reply)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		wait(func() bool { return idle.Load() == n }) // the last answers were just read
		out.Encode(obey(in.Text(), conns))
	}
}

func obey(command string, conns *drain.Conns) (reply serverReply) {
	start := time.Now()
	switch command {
	case "memory":
		inUse := heap()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		reply.Objects, reply.Stacks = int64(m.HeapAlloc), int64(m.StackInuse)
		reply.InUse = inUse + reply.Stacks
		reply.Sys = int64(m.Sys)
	case "snapshot":
		reply.Took = fastestSnapshot(conns)
		reply.Open = conns.Snapshot().Open
	case "force":
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		before := processorTime()
		reply.Report = conns.Drain(ended)
		reply.Took, reply.CPU = time.Since(start), processorTime()-before
		reply.Open = conns.Snapshot().Open
	case "drain":
		reply.Report = conns.Drain(context.Background())
		reply.Open = conns.Snapshot().Open
	}
	return reply
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(os.NewSyscallError("getrusage", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
