package reuseport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// both runs a test with the direct path and with acceptors.
func both(t *testing.T, f func(t *testing.T, sockets int)) {
	for name, sockets := range map[string]int{"one socket": 1, "four sockets": 4} {
		t.Run(name, func(t *testing.T) { f(t, sockets) })
	}
}

func TestAccept(t *testing.T) {
	both(t, func(t *testing.T, sockets int) {
		l := open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: sockets})
		for range 20 {
			client := dial(t, l.Addr().String())
			served := accept(t, l)
			if _, ok := served.(*net.TCPConn); !ok {
				t.Fatalf("connection is a %T, want *net.TCPConn", served)
			}
			if served.RemoteAddr().String() != client.LocalAddr().String() {
				t.Fatalf("served %v, want %v", served.RemoteAddr(), client.LocalAddr())
			}
		}
	})
}

func TestCloseTwiceEndsAccept(t *testing.T) {
	both(t, func(t *testing.T, sockets int) {
		l := open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: sockets})
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
	})
}

// While sockets remain Accept serves them, then it blocks until Close.
func TestCloseLastDuringAccept(t *testing.T) {
	both(t, func(t *testing.T, sockets int) {
		l := open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: sockets})
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
		for l.Open() > 0 {
			dial(t, l.Addr().String())
			_ = (<-conns).Close()
			if err := l.CloseLast(); err != nil {
				t.Fatal(err)
			}
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

// inHand opens a listener whose acceptors hold connections that nobody takes.
func inHand(t *testing.T) (l *Listener, client *net.TCPConn) {
	t.Helper()
	l = open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: 2})
	dial(t, l.Addr().String())
	accept(t, l) // starts the acceptors
	client = dial(t, l.Addr().String())
	for i := range l.Open() {
		if left, err := l.Empty(soon(t), i); err != nil {
			t.Fatalf("no acceptor takes the connection: %+v, %v", left, err)
		}
	}
	return l, client
}

func TestConnectionInHandOutlivesItsSocket(t *testing.T) {
	l, client := inHand(t)
	for l.Open() > 0 {
		if err := l.CloseLast(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Delivered(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("delivered: %v while a connection waits", err)
	}
	served := accept(t, l)
	if served.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("served %v, want %v", served.RemoteAddr(), client.LocalAddr())
	}
}

func TestConnectionInHandEndsWithClose(t *testing.T) {
	l, client := inHand(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err := client.Read(make([]byte, 1))
	if err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want the end of the connection", err)
	}
}

// A listener survives the lack of descriptors.
func TestAcceptWithoutDescriptors(t *testing.T) {
	both(t, func(t *testing.T, sockets int) {
		l := open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: sockets})
		dial(t, l.Addr().String())

		var before unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		lowest := f.Fd()
		_ = f.Close()
		limit := before
		limit.Cur = uint64(lowest)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		_, err = l.Accept()
		if rerr := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); rerr != nil {
			t.Fatal(rerr)
		}
		if !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("accept: %v, want EMFILE", err)
		}
		for {
			c, err := l.Accept()
			if errors.Is(err, syscall.EMFILE) {
				continue // an acceptor had it in its hand
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			return
		}
	})
}

func TestDeliveredEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Listener{parked: make(chan struct{}), done: make(chan struct{})}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Delivered(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without accept: %v, want the error of ctx", err)
		}
		close(l.done)
		if err := l.Delivered(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after close: %v, want net.ErrClosed", err)
		}
		close(l.parked)
		if err := l.Delivered(t.Context()); err != nil {
			t.Errorf("after the last accept: %v", err)
		}
	})
}
