package handoff_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/handoff"
)

// serve is what a service does for each of its generations.
func serve(ctx context.Context, g *handoff.Generation) error {
	ln, err := g.Listen(ctx, "tcp", ":8080")
	if err != nil {
		return err
	}
	conns := drain.New(drain.Config{})
	srv := &http.Server{Handler: http.DefaultServeMux}
	conns.Server(srv)
	go srv.Serve(conns.Listener(ln))
	if err := g.Ready(ctx); err != nil { // from here on, new connections come to us
		return err
	}
	<-g.Superseded() // a successor serves, our sockets are closed, nothing was in them
	return conns.Drain(ctx).Err()
}

// A whole service. HUP replaces it by what its executable is then, TERM ends
// it.
func ExampleRun() {
	err := handoff.Run(context.Background(), handoff.Config{Dir: "/run/hello"}, serve)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Two generations take turns. They would be two processes; nothing depends on
// that.
func ExampleGeneration() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	start := func(addr string) (*handoff.Generation, net.Addr) {
		g, err := handoff.Open(ctx, handoff.Config{Dir: filepath.Join(dir, "control")})
		if err != nil {
			panic(err)
		}
		ln, err := g.Listen(ctx, "tcp", addr)
		if err != nil {
			panic(err)
		}
		go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "generation %d", g.Number())
		}))
		if err := g.Ready(ctx); err != nil {
			panic(err)
		}
		return g, ln.Addr()
	}
	ask := func(addr net.Addr) {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get("http://" + addr.String())
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		fmt.Println(string(b))
	}

	first, addr := start("127.0.0.1:0")
	ask(addr)
	second, _ := start(addr.String())
	ask(addr)
	<-first.Superseded()
	first.Close()
	ask(addr)
	second.Close()
	// Output:
	// generation 1
	// generation 2
	// generation 2
}

// An operator looks at a service, from another process of the same user.
func ExampleService() {
	ctx := context.Background()
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "control")
	g, err := handoff.Open(ctx, handoff.Config{Dir: dir, Version: "1.0"})
	if err != nil {
		panic(err)
	}
	defer g.Close()
	ln, err := g.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(ln, nil)
	if err := g.Ready(ctx); err != nil {
		panic(err)
	}

	service, err := handoff.NewService(dir)
	if err != nil {
		panic(err)
	}
	generations, err := service.Status(ctx)
	if err != nil {
		panic(err)
	}
	for _, st := range generations {
		fmt.Println(st.Generation, st.Version, st.State, len(st.Listeners))
	}
	// Output: 1 1.0 leading 1
}

func ExampleParsePlan() {
	plan, err := handoff.ParsePlan("0.5%:30s, 10%")
	fmt.Println(plan, err)
	// Output: [{50 30s} {1000 0s}] <nil>
}
