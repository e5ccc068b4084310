package reuseport

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// briefly is longer than what Empty needs for a socket that is empty.
const briefly = 200 * time.Millisecond

// leaves expects Empty to find that this much is left.
func leaves(t *testing.T, c *PacketConn, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), briefly)
	defer cancel()
	left, err := c.Empty(ctx, 0)
	if !errors.Is(err, context.DeadlineExceeded) || left != (Left{Queued: want}) {
		t.Errorf("left %+v, %v, want %d when ctx ends", left, err, want)
	}
	if c.Open() != 1 {
		t.Error("the socket is closed")
	}
}

// empties expects Empty to succeed.
func empties(t *testing.T, c *PacketConn) {
	t.Helper()
	if left, err := c.Empty(soon(t), 0); err != nil || left != (Left{}) {
		t.Fatalf("left %+v, %v, want nothing", left, err)
	}
}

// A queue of one datagram without payload is not empty.
func TestPacketEmptyWaitsForQueue(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	empties(t, c)
	client := dialPacket(t, c.Addr().String())
	for _, payload := range []string{"", "payload"} {
		write(t, client, payload)
		arrived(t, c)
		leaves(t, c, 1)
		tally(t, 1, c)
		empties(t, c)
	}
	// Of several, the kernel tells only that there are some.
	for range 5 {
		write(t, client, "")
	}
	arrived(t, c)
	leaves(t, c, 1)
}

// arrived waits until a datagram is queued.
func arrived(t *testing.T, c *PacketConn) {
	t.Helper()
	eventually(t, "a datagram arrives", func() bool {
		ok, err := of(c.UDPConn, readable)
		return ok && err == nil
	})
}

// A reader that has a datagram is waited for until it comes back for another,
// whatever way it reads.
func TestPacketEmptyWaitsForReader(t *testing.T) {
	eachReader(t, func(t *testing.T, read func(*PacketConn, []byte) (int, string, error)) {
		c := openPacket(t, "udp4", "127.0.0.1:0", nil)
		write(t, dialPacket(t, c.Addr().String()), "request")
		if _, _, err := read(c, make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		leaves(t, c, 1)
		var back sync.WaitGroup
		back.Go(func() { _, _, _ = read(c, make([]byte, 16)) })
		empties(t, c)
		_ = c.Close()
		back.Wait()
	})
}

// A reader whose read failed is not taken for the one that answers.
func TestPacketEmptyWaitsBesideAPollingReader(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	results := make(chan error)
	read := func() {
		_, err := c.Read(make([]byte, 16))
		results <- err
	}
	go read()
	go read()
	eventually(t, "both read", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.inside == 2
	})
	write(t, dialPacket(t, c.Addr().String()), "request")
	if err := <-results; err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(past()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-results; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want os.ErrDeadlineExceeded", err)
		}
		go read()
	}
	<-results
	leaves(t, c, 1)
}

func TestPacketEmptyWaitsForEveryReader(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	const n = 3
	var group, got sync.WaitGroup
	got.Add(n)
	answer := make(chan struct{})
	for range n {
		group.Go(func() {
			for {
				if _, _, err := c.ReadFrom(make([]byte, 16)); err != nil {
					return
				}
				got.Done()
				<-answer
			}
		})
	}
	eventually(t, "all read", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.inside == n
	})
	send(t, c.Addr().String(), n)
	got.Wait()
	for out := n; out > 0; out-- {
		leaves(t, c, out)
		answer <- struct{}{}
		eventually(t, "one comes back", func() bool {
			left, err := c.left()
			return err == nil && left.Queued == out-1
		})
	}
	empties(t, c)
	_ = c.Close()
	group.Wait()
}

// A datagram that recvmsg(2) has taken is in no queue, while its reader has
// yet to return. A look from outside is fooled; Empty is not.
func TestPacketEmptyWaitsForDatagramInHand(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	taken, proceed := make(chan struct{}), make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			err := raw.Read(func(fd uintptr) bool {
				_, _, err := unix.Recvfrom(int(fd), make([]byte, 16), unix.MSG_DONTWAIT)
				if err != nil {
					return false
				}
				taken <- struct{}{}
				<-proceed
				return true
			})
			if err != nil {
				return
			}
		}
	})
	write(t, dialPacket(t, c.Addr().String()), "request")
	<-taken
	if left, err := c.left(); err != nil || left != (Left{}) {
		t.Errorf("a look from outside sees %+v, %v: the control does not show what Empty is for", left, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		// It has stopped the readers at least once, and found this one missing.
		settled(func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.stops > 0
		})
		cancel()
	}()
	if left, err := c.Empty(ctx, 0); !errors.Is(err, context.Canceled) || left != (Left{Queued: 1}) {
		t.Errorf("left %+v, %v, want 1 when ctx ends", left, err)
	}
	close(proceed)
	empties(t, c)
	_ = c.Close()
	reader.Wait()
}

// Readers do not notice that Empty looks, and their deadline is theirs.
func TestPacketEmptyDisturbsNobody(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	const n = 3
	results := make(chan error, n)
	read := func() {
		_, _, err := c.ReadFrom(make([]byte, 16))
		results <- err
	}
	for range n {
		go read()
	}
	for i := range 20 {
		if i == 10 {
			if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		empties(t, c)
	}
	select {
	case err := <-results:
		t.Fatalf("a reader returned: %v", err)
	default:
	}
	if err := c.SetReadDeadline(past()); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := <-results; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reader: %v, want os.ErrDeadlineExceeded", err)
		}
	}
	empties(t, c) // puts the deadline back that it found
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v, want os.ErrDeadlineExceeded", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go read()
	write(t, dialPacket(t, c.Addr().String()), "request")
	if err := <-results; err != nil {
		t.Errorf("without a deadline: %v", err)
	}
}

// A deadline that is set while the readers are stopped takes effect when they
// go on.
func TestPacketDeadlineWhileStopped(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	result := make(chan error, 1)
	c.gate = make(chan struct{})
	if err := c.SetReadDeadline(past()); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := c.Read(make([]byte, 1))
		result <- err
	}()
	c.goOn()
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error is %v, want os.ErrDeadlineExceeded", err)
	}
}

func TestPacketEmptyRefuses(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	for _, i := range []int{-1, 1} {
		if _, err := c.Empty(t.Context(), i); err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("socket %d: %v, want an error about the number", i, err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Empty(canceled, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	_ = c.CloseLast()
	if _, err := c.Empty(t.Context(), 0); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after CloseLast: %v, want net.ErrClosed", err)
	}
}

// A socket that closes while Empty waits ends the wait.
func TestPacketCloseDuringEmpty(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	release := c.Hold()
	defer release()
	result := make(chan error, 1)
	go func() {
		_, err := c.Empty(soon(t), 0)
		result <- err
	}()
	_ = c.Close()
	if err := <-result; !errors.Is(err, net.ErrClosed) {
		t.Errorf("error is %v, want net.ErrClosed", err)
	}
}
