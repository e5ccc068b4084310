package reuseport

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// past is a deadline that has expired.
func past() time.Time { return time.Unix(1, 0) }

// readers are all ways to read. Each returns the length, and the sender if it
// tells.
var readers = map[string]func(*PacketConn, []byte) (int, string, error){
	"Read": func(c *PacketConn, b []byte) (int, string, error) {
		n, err := c.Read(b)
		return n, "", err
	},
	"ReadFrom": func(c *PacketConn, b []byte) (int, string, error) {
		n, addr, err := c.ReadFrom(b)
		return told(n, addr, err)
	},
	"ReadFromUDP": func(c *PacketConn, b []byte) (int, string, error) {
		n, addr, err := c.ReadFromUDP(b)
		return told(n, addr, err)
	},
	"ReadFromUDPAddrPort": func(c *PacketConn, b []byte) (int, string, error) {
		n, addr, err := c.ReadFromUDPAddrPort(b)
		return n, addr.String(), err
	},
	"ReadMsgUDP": func(c *PacketConn, b []byte) (int, string, error) {
		n, _, _, addr, err := c.ReadMsgUDP(b, nil)
		return told(n, addr, err)
	},
	"ReadMsgUDPAddrPort": func(c *PacketConn, b []byte) (int, string, error) {
		n, _, _, addr, err := c.ReadMsgUDPAddrPort(b, nil)
		return n, addr.String(), err
	},
	"SyscallConn": func(c *PacketConn, b []byte) (n int, _ string, err error) {
		raw, err := c.SyscallConn()
		if err != nil {
			return 0, "", err
		}
		rerr := raw.Read(func(fd uintptr) bool {
			n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
		})
		return n, "", errors.Join(rerr, err)
	},
}

func told(n int, addr net.Addr, err error) (int, string, error) {
	if err != nil {
		return n, "", err
	}
	return n, addr.String(), nil
}

func eachReader(t *testing.T, f func(t *testing.T, read func(*PacketConn, []byte) (int, string, error))) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) { f(t, read) })
	}
}

func TestPacketRead(t *testing.T) {
	eachReader(t, func(t *testing.T, read func(*PacketConn, []byte) (int, string, error)) {
		c := openPacket(t, "udp4", "127.0.0.1:0", nil)
		client := dialPacket(t, c.Addr().String())
		for _, sent := range []string{"hello", "", "again"} {
			write(t, client, sent)
			b := make([]byte, 16)
			n, from, err := read(c, b)
			if err != nil || string(b[:n]) != sent {
				t.Errorf("read %q, %v, want %q", b[:n], err, sent)
			}
			if from != "" && from != client.LocalAddr().String() {
				t.Errorf("from %s, want %v", from, client.LocalAddr())
			}
		}
		if err := c.SetReadDeadline(past()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := read(c, make([]byte, 16)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("deadline: %v, want os.ErrDeadlineExceeded", err)
		}
	})
}

// parked waits until a reader has found that nothing can come.
func parked(t *testing.T, c *PacketConn) {
	t.Helper()
	eventually(t, "a reader waits for Close", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.parked
	})
}

// When its socket is closed by a takeover a read goes on waiting, and Close
// ends it. Without CloseLast Close does too.
func TestPacketReadUntilClose(t *testing.T) {
	eachReader(t, func(t *testing.T, read func(*PacketConn, []byte) (int, string, error)) {
		for _, retired := range []bool{true, false} {
			c := openPacket(t, "udp4", "127.0.0.1:0", nil)
			result := make(chan error, 1)
			go func() {
				_, _, err := read(c, make([]byte, 16))
				result <- err
			}()
			if retired {
				if err := c.CloseLast(); err != nil {
					t.Fatal(err)
				}
				parked(t, c)
				select {
				case err := <-result:
					t.Fatalf("read returned %v, want it to wait", err)
				default:
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-result; !errors.Is(err, net.ErrClosed) {
				t.Errorf("after CloseLast %t and Close: %v, want net.ErrClosed", retired, err)
			}
		}
	})
}

// A service that reads with deadlines goes on to do so after CloseLast.
func TestPacketDeadlineAfterCloseLast(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	if err := c.SetReadDeadline(past()); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseLast(); err != nil {
		t.Fatal(err)
	}
	expired := func(what string) {
		t.Helper()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v, want os.ErrDeadlineExceeded", what, err)
		}
	}
	expired("set before")
	result := make(chan error, 1)
	if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := c.Read(make([]byte, 1))
		result <- err
	}()
	if err := c.SetDeadline(past()); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("shortened while it waits: %v, want os.ErrDeadlineExceeded", err)
	}
	expired("set after")
	if _, err := c.WriteTo([]byte("x"), c.Addr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v, want net.ErrClosed", err)
	}
	_ = c.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after Close: %v", err)
	}
	if err := c.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("deadline after Close: %v, want net.ErrClosed", err)
	}
}

func TestPacketCloseTwice(t *testing.T) {
	c := openPacket(t, "udp4", "127.0.0.1:0", nil)
	if got := c.Open(); got != 1 {
		t.Errorf("%d sockets are open, want 1", got)
	}
	if err := c.CloseLast(); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseLast(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second CloseLast: %v, want net.ErrClosed", err)
	}
	if got := c.Open(); got != 0 {
		t.Errorf("%d sockets are open, want 0", got)
	}
	c.Moved(1)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := c.CloseLast(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("CloseLast after Close: %v, want net.ErrClosed", err)
	}
	if c.LocalAddr().String() != c.Addr().String() {
		t.Errorf("address is %v and %v", c.LocalAddr(), c.Addr())
	}
}

// Readers, deadlines, looks and the end come together.
func TestPacketConcurrently(t *testing.T) {
	a := openPacket(t, "udp4", "127.0.0.1:0", &Options{Strategy: CBPF})
	b := joinPacket(t, a)
	unless := func(err error) {
		if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	}
	steerPacket(t, b, Selection{To: Range{0, 1}})
	client := dialPacket(t, a.Addr().String())
	var group, clients sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				n, _, err := a.ReadFrom(make([]byte, 16))
				unless(err)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				release := a.Hold()
				go func() {
					_ = n
					release()
					release()
				}()
			}
		})
		clients.Go(func() {
			for i := range 50 {
				_, err := client.Write(make([]byte, i%3))
				if !errors.Is(err, unix.ECONNREFUSED) {
					unless(err)
				}
				unless(a.SetReadDeadline(time.Now().Add(time.Duration(i) * time.Millisecond)))
				unless(a.SetDeadline(time.Time{}))
				_, err = a.Queues()
				unless(err)
				_, err = a.Inodes()
				unless(err)
				_, _ = a.Strategy(), a.Open()
			}
		})
	}
	group.Go(func() {
		for range 3 {
			_, err := a.Empty(soon(t), 0)
			unless(err)
		}
	})
	group.Go(func() {
		_, err := a.Group(t.Context())
		unless(err)
		unless(b.Steer(Selection{To: Range{1, 1}}))
		clients.Wait()
		_, err = a.Empty(soon(t), 0)
		unless(err)
		unless(a.CloseLast())
		unless(a.Delivered(soon(t)))
		unless(a.Close())
	})
	group.Wait()
	if got := a.Open() + b.Open(); got != 1 {
		t.Errorf("%d sockets are open, want 1", got)
	}
}
