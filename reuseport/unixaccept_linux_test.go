package reuseport

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestUnixCloseTwiceEndsAccept(t *testing.T) {
	l := openUnix(t, "unix", unixTemp(t), "a")
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v, want net.ErrClosed", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v, want net.ErrClosed", err)
	}
	if err := l.CloseLast(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("close last after close: %v, want net.ErrClosed", err)
	}
	if _, err := l.Empty(t.Context(), 0); !errors.Is(err, net.ErrClosed) {
		t.Errorf("empty after close: %v, want net.ErrClosed", err)
	}
}

// After the socket is closed Accept blocks until Close, and by then everything
// was returned.
func TestUnixCloseLastDuringAccept(t *testing.T) {
	eachUnixNetwork(t, func(t *testing.T, network string) {
		l := openUnix(t, network, unixTemp(t), "a")
		take(t, l)
		conns, ended := make(chan net.Conn), make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				conns <- c
			}
		}()
		dialUnix(t, network, l.addr.Name)
		c := <-conns
		if _, ok := c.(*net.UnixConn); !ok {
			t.Errorf("connection is a %T, want *net.UnixConn", c)
		}
		_ = c.Close()

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Delivered(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("delivered: %v while the socket is open", err)
		}
		if err := l.CloseLast(); err != nil {
			t.Fatal(err)
		}
		if l.Open() != 0 {
			t.Errorf("%d open after the last was closed", l.Open())
		}
		if err := l.Delivered(soon(t)); err != nil {
			t.Fatalf("delivered: %v", err)
		}
		select {
		case err := <-ended:
			t.Fatalf("accept ended before close: %v", err)
		default:
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v, want net.ErrClosed", err)
		}
	})
}

func TestUnixDeliveredAfterClose(t *testing.T) {
	l := openUnix(t, "unix", unixTemp(t), "a")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Delivered(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("delivered: %v, want net.ErrClosed", err)
	}
}

func TestUnixQueueAndEmpty(t *testing.T) {
	eachUnixNetwork(t, func(t *testing.T, network string) {
		path, old, successor := two(t, network)
		const n = 3
		for range n {
			dialUnix(t, network, path)
		}
		take(t, successor)
		qs, err := old.Queues()
		if err != nil || len(qs) != 1 || qs[0].Len != n || qs[0].Limit < n {
			t.Fatalf("queues are %+v, %v, want one of length %d", qs, err, n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*unixSettle)
		defer cancel()
		left, err := old.Empty(ctx, 0)
		if left != (Left{Queued: n}) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("left %+v, %v, want %d queued and the error of ctx", left, err, n)
		}
		reaches(t, successor)
		for range n {
			acceptUnix(t, old)
		}
		if left, err := old.Empty(soon(t), 0); left != (Left{}) || err != nil {
			t.Errorf("left %+v, %v, want nothing", left, err)
		}
		if _, err := old.Empty(t.Context(), 1); err == nil {
			t.Error("emptied a second socket")
		}
		if err := old.CloseLast(); err != nil {
			t.Fatal(err)
		}
		if qs, err := old.Queues(); err != nil || len(qs) != 0 {
			t.Errorf("queues after close: %+v, %v", qs, err)
		}
	})
}

// A connection that arrives between two looks is waited for.
func TestUnixEmptyLooksTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found, looks := []int{0, 2, 1, 0, 3, 0, 0}, 0
		start := time.Now()
		err := emptyUnix(t.Context(), func() (int, error) {
			looks++
			return found[looks-1], nil
		})
		if took := time.Since(start); err != nil || looks != len(found) || took != time.Duration(looks)*unixSettle {
			t.Errorf("%d looks in %v, %v, want %d", looks, took, err, len(found))
		}
	})
}

// What the queue holds when the socket closes is lost, which is why it is to
// be emptied.
func TestUnixCloseLosesTheQueue(t *testing.T) {
	l := openUnix(t, "unix", unixTemp(t), "a")
	take(t, l)
	c := dialUnix(t, "unix", l.addr.Name)
	if err := l.CloseLast(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want the end of the connection", err)
	}
}
