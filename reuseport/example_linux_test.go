package reuseport_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"syscall"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// A successor takes over an address while clients connect. In real life the
// two listeners belong to two processes.
func ExampleListener_Steer() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	old, err := reuseport.Listen(ctx, "tcp", "127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = old.Close() }()
	address := old.Addr().String()
	only := func(index int) reuseport.Selection {
		return reuseport.Selection{To: reuseport.Range{First: index, Count: 1}}
	}

	// The successor's socket is at index 1. It stays dark until it is chosen.
	if err := old.Steer(only(0)); err != nil {
		log.Fatal(err)
	}
	successor, err := reuseport.Listen(ctx, "tcp", address, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = successor.Close() }()

	go greet(old, "old")
	go greet(successor, "new")
	fmt.Println(ask(address))

	// From here on every new handshake goes to the successor.
	if err := successor.Steer(only(1)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ask(address))

	// The old socket closes when it has nothing left. That moves the
	// successor's socket to index 0.
	if left, err := old.Empty(ctx, 0); err != nil {
		log.Fatalf("%+v left: %v", left, err)
	}
	if err := old.CloseLast(); err != nil {
		log.Fatal(err)
	}
	if err := successor.Steer(only(0)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ask(address))
	// Output:
	// old
	// new
	// new
}

// A listener that was made without SO_REUSEPORT keeps others from its address.
// The text of the error names its process.
func ExampleInUseError() {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = other.Close() }()

	_, err = reuseport.Listen(context.Background(), "tcp", other.Addr().String(), nil)
	var inUse *reuseport.InUseError
	if errors.As(err, &inUse) {
		fmt.Println("taken:", inUse.Address == other.Addr().String(), errors.Is(err, syscall.EADDRINUSE))
	}
	// Output: taken: true true
}

func greet(ln net.Listener, greeting string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = fmt.Fprintln(c, greeting)
		_ = c.Close()
	}
}

func ask(address string) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var greeting string
	if _, err := fmt.Fscanln(c, &greeting); err != nil {
		log.Fatal(err)
	}
	return greeting
}
