package drain_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/graceport/graceport/drain"
)

const manyGrace = 5 * time.Second

// serverReply is what the server tells of a command.
type serverReply struct {
	Addrs  []string
	Memory int64 // heap and stacks in use
	Sys    int64
	Took   time.Duration
	CPU    time.Duration // processor time of it
	Open   drain.States
	Report *drain.Report
}

// serverMain is an http.Server on as many loopback addresses as its arguments
// say, behind drain or bare. It does what it reads from its standard input, a
// command a line, and prints a serverReply for each, the first unasked.
func serverMain() {
	tracked := os.Args[1] == "drain"
	conns := drain.New(drain.Config{IdleGrace: manyGrace, Timeout: 2 * time.Minute})
	srv := &http.Server{Handler: http.HandlerFunc(echo)}
	if tracked {
		conns.Server(srv)
	}
	var reply serverReply
	for _, ip := range os.Args[2:] {
		ln, err := net.Listen("tcp", ip+":0")
		if err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(1)
		}
		reply.Addrs = append(reply.Addrs, ln.Addr().String())
		if tracked {
			ln = conns.Listener(ln)
		}
		go srv.Serve(ln)
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(reply)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		out.Encode(obey(in.Text(), conns))
	}
}

func obey(command string, conns *drain.Conns) (reply serverReply) {
	start := time.Now()
	switch command {
	case "memory":
		reply.Memory = heap()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		reply.Memory += int64(m.StackInuse)
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
