package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// dropsPerGeneration is how many requests each generation of the method
// drops-three takes and never answers.
const dropsPerGeneration = 3

// fakeMethods lose or leave behind what the tests expect, exactly.
func fakeMethods() []*method {
	return []*method{
		{name: "drops-three", serve: serveDropping, restart: restartByHangup},
		{name: "leaves-child", serve: serveLeaving, restart: restartReuseport},
		{name: "exits-at-once", serve: func(context.Context, *service) error { return nil }, restart: restartReuseport},
		{name: "no-successor", serve: serveAlone, restart: func(ctx context.Context, f *fleet, _ *process) (*process, error) {
			ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			return f.announced(ctx, nil)
		}},
	}
}

// serveDropping shares one accept queue between generations, and ends only
// after it has answered what it accepted: nothing is lost but what it drops.
func serveDropping(ctx context.Context, s *service) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	ln, err := s.inheritOrListen(ctx)
	if err != nil {
		return err
	}
	s.ready(ln.Addr())
	forked := make(chan error, 1)
	go func() {
		var err error
		if <-signals == syscall.SIGHUP {
			err = s.fork(ln)
		}
		forked <- err
		_ = ln.(*net.TCPListener).SetDeadline(time.Now())
	}()
	var open sync.WaitGroup
	for n := 0; ; n++ {
		conn, err := ln.Accept()
		if err != nil {
			open.Wait()
			return <-forked
		}
		open.Go(func() {
			defer conn.Close()
			req, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil || n < dropsPerGeneration {
				return
			}
			req.Body.Close()
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s: %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", generationHeader, s.generation)
		})
	}
}

// serveLeaving starts a process that outlives it and announces nothing.
func serveLeaving(ctx context.Context, s *service) error {
	if s.dir == "" {
		<-ctx.Done() // the child
		return nil
	}
	child := exec.Command(os.Args[0], os.Args[1])
	if err := child.Start(); err != nil {
		return err
	}
	return serveReuseport(ctx, s)
}
