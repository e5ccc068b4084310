package drain_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/graceport/graceport/drain"
)

// A client has an idle connection when draining begins. Its next request is
// answered, and told that it was the last.
func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	conns := drain.New(drain.Config{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	})}
	conns.Server(srv)
	go srv.Serve(conns.Listener(ln))

	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	r := bufio.NewReader(client)
	get := func() {
		io.WriteString(client, "GET / HTTP/1.1\r\nHost: example\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%s, closing: %t\n", body, resp.Close)
	}

	get()
	reports := make(chan *drain.Report)
	go func() { reports <- conns.Drain(context.Background()) }()
	<-conns.Draining()
	get()

	report := <-reports
	fmt.Println("finished:", report.Closed.Finished, "forced:", report.Closed.Forced)
	// Output:
	// hello, closing: false
	// hello, closing: true
	// finished: 1 forced: 0
}

// An event stream says goodbye when draining begins.
func ExampleContext() {
	events := make(chan string)
	http.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := drain.Context(r.Context())
		defer cancel()
		for {
			select {
			case e := <-events:
				fmt.Fprintf(w, "data: %s\n\n", e)
			case <-ctx.Done():
				fmt.Fprint(w, "event: reconnect\n\n")
				return
			}
		}
	})
}

// A protocol of its own says goodbye on each of its connections, and has as
// long as it likes before the deadline.
func ExampleConns_ListenerWith() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	conns := drain.New(drain.Config{})
	tracked := conns.ListenerWith(ln, drain.ListenerOptions{
		Name: "chat",
		OnDrain: func(nc net.Conn, d *drain.Draining) {
			fmt.Fprintf(nc, "goodbye: %s\n", d.Reason)
			nc.Close()
		},
	})
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if _, err := tracked.Accept(); err != nil {
		log.Fatal(err)
	}

	report := conns.DrainWith(context.Background(), drain.DrainOptions{Reason: "upgrade"})
	said, _ := io.ReadAll(client)
	fmt.Printf("%sclosed: %d, error: %v\n", said, report.Closed.Finished, report.Err())
	// Output:
	// goodbye: upgrade
	// closed: 1, error: <nil>
}

// A handler that took its connection ends it when it is its turn, and tells the
// client why, as WebSocket does with status 1012.
func ExampleTurn() {
	http.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := drain.Turn(r.Context())
		defer cancel()
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		<-ctx.Done()
		var d *drain.Draining
		if errors.As(context.Cause(ctx), &d) {
			fmt.Fprintf(nc, "service restart (%s), %v left\n", d.Reason, time.Until(d.Deadline))
		}
	})
}
