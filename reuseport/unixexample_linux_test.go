package reuseport_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/graceport/graceport/reuseport"
)

// A successor takes the path of its predecessor, which goes when nothing waits
// in it any more.
func ExampleListenUnix() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "hello")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sock")

	generation := func(own string) *reuseport.UnixListener {
		ln, err := reuseport.ListenUnix(ctx, "unix", path, &reuseport.UnixOptions{Own: own})
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				fmt.Fprintf(conn, "hello from %s\n", own)
				conn.Close()
			}
		}()
		if err := ln.Take(); err != nil {
			log.Fatal(err)
		}
		return ln
	}
	ask := func() {
		conn, err := net.Dial("unix", path)
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		var said string
		fmt.Fscanf(conn, "hello from %s", &said)
		fmt.Println(said, "answers")
	}

	old := generation("gen-1")
	ask()
	successor := generation("gen-2")
	defer successor.Close()
	ask()
	if _, err := old.Empty(ctx, 0); err != nil {
		log.Fatal(err)
	}
	if err := old.Close(); err != nil {
		log.Fatal(err)
	}
	ask()
	// Output:
	// gen-1 answers
	// gen-2 answers
	// gen-2 answers
}
