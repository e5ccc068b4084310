package reuseport

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// An answer that another goroutine gives is cut unless it is held: without
// Hold the reader is back and nothing seems left.
func TestPacketEmptyWaitsForHold(t *testing.T) {
	for _, hold := range []bool{false, true} {
		c := openPacket(t, "udp4", "127.0.0.1:0", nil)
		client := dialPacket(t, c.Addr().String())
		write(t, client, "request")
		read, closed, answered := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				_, addr, err := c.ReadFrom(make([]byte, 16))
				if err != nil {
					return
				}
				release := func() {}
				if hold {
					release = c.Hold()
				}
				go func() {
					defer release()
					if !hold {
						<-closed // the control: nobody waits for us
					}
					_, err := c.WriteTo([]byte("answer"), addr)
					answered <- err
				}()
				close(read)
			}
		}()
		<-read
		empties(t, c)
		if err := c.CloseLast(); err != nil {
			t.Fatal(err)
		}
		close(closed)
		if err := <-answered; hold != (err == nil) {
			t.Errorf("with Hold %t: answer: %v", hold, err)
		}
		_ = c.Close()
	}
}

func TestPacketHoldIsReleasedOnce(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	first, second := c.Hold(), c.Hold()
	leaves(t, c, 2)
	first()
	first()
	leaves(t, c, 1)
	second()
	empties(t, c)
}

// Delivered waits for CloseLast, for a reader to come back, and for Holds.
func TestPacketDelivered(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	not := func(why string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := c.Delivered(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want the error of ctx", why, err)
		}
	}
	not("the socket is open")
	send(t, c.Addr().String(), 1)
	if _, err := c.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	release := c.Hold()
	if err := c.CloseLast(); err != nil {
		t.Fatal(err)
	}
	not("the reader has the last datagram")
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = c.Read(make([]byte, 1)) })
	parked(t, c)
	not("it is held")
	release()
	if err := c.Delivered(soon(t)); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	reader.Wait()
	if err := c.Delivered(soon(t)); err != nil {
		t.Errorf("after Close: %v", err)
	}
	c = openPacket(t, "udp4", "127.0.0.1:0", nil)
	_ = c.Close()
	if err := c.Delivered(soon(t)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("only Close: %v, want net.ErrClosed", err)
	}
}
