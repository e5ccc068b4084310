package drain_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

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
