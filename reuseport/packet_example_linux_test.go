package reuseport_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// A successor takes over a UDP address while clients send. In real life the
// two sockets belong to two processes.
func ExampleListenPacket() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	old, err := reuseport.ListenPacket(ctx, "udp", "127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = old.Close() }()
	address := old.Addr().String()
	only := func(index int) reuseport.Selection {
		return reuseport.Selection{To: reuseport.Range{First: index, Count: 1}}
	}
	if err := old.Steer(only(0)); err != nil {
		log.Fatal(err)
	}
	successor, err := reuseport.ListenPacket(ctx, "udp", address, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = successor.Close() }()

	go answer(old, "old")
	go answer(successor, "new")
	fmt.Println(query(address))

	// From here on every datagram goes to the successor. The old socket closes
	// when everything it received has been answered.
	if err := successor.Steer(only(1)); err != nil {
		log.Fatal(err)
	}
	if left, err := old.Empty(ctx, 0); err != nil {
		log.Fatalf("%+v left: %v", left, err)
	}
	if err := old.CloseLast(); err != nil {
		log.Fatal(err)
	}
	if err := successor.Steer(only(0)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(query(address))
	// Output:
	// old
	// new
}

func answer(conn *reuseport.PacketConn, text string) {
	b := make([]byte, 1500)
	for {
		_, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo([]byte(text), from)
	}
}

func query(address string) string {
	c, err := net.Dial("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write(nil); err != nil {
		log.Fatal(err)
	}
	b := make([]byte, 16)
	n, err := c.Read(b)
	if err != nil {
		log.Fatal(err)
	}
	return string(b[:n])
}
