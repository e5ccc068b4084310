package drain_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// accept returns a tracked connection over loopback TCP, and its peer.
func accept(t testing.TB, conns *drain.Conns) (net.Conn, *net.TCPConn) {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	peer := dial(t, ln.Addr().String())
	nc, err := conns.Listener(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc, peer.Conn.(*net.TCPConn)
}

func TestCloseTwice(t *testing.T) {
	conns := drain.New(drain.Config{})
	nc, _ := accept(t, conns)
	accept(t, conns)
	for range 2 {
		if err := nc.Close(); err != nil {
			t.Error(err)
		}
	}
	if s := conns.Snapshot(); s.Closed.Finished != 1 || s.Open.Active != 1 {
		t.Errorf("%+v", s)
	}
}

// A read deadline holds until it is changed, and clearing one that is not set
// does not hide that the connection is closed.
func TestReadDeadline(t *testing.T) {
	nc, peer := accept(t, drain.New(drain.Config{}))
	b := make([]byte, 1)
	for range 2 {
		nc.SetReadDeadline(time.Time{})
		nc.SetReadDeadline(time.Time{})
		nc.SetReadDeadline(time.Now().Add(-time.Second))
		if _, err := nc.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: %v", err)
		}
		nc.SetDeadline(time.Time{})
		peer.Write(b)
		if _, err := nc.Read(b); err != nil {
			t.Errorf("Read: %v", err)
		}
	}
	nc.Close()
	if err := nc.SetReadDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetReadDeadline after Close: %v", err)
	}
}

// What *net.TCPConn can beyond net.Conn is not lost.
func TestForwarding(t *testing.T) {
	nc, peer := accept(t, drain.New(drain.Config{}))
	if _, ok := nc.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); !ok {
		t.Error("NetConn is not a *net.TCPConn")
	}
	if _, err := nc.(syscall.Conn).SyscallConn(); err != nil {
		t.Error(err)
	}

	f, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	go func() {
		if n, err := nc.(io.ReaderFrom).ReadFrom(io.LimitReader(f, 1<<20)); n != 1<<20 || err != nil {
			t.Errorf("ReadFrom: %d, %v", n, err)
		}
		if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	if n, err := io.Copy(io.Discard, peer); n != 1<<20 || err != nil {
		t.Errorf("received %d, %v", n, err)
	}

	io.WriteString(peer, "hello")
	peer.CloseWrite()
	var b strings.Builder
	if n, err := nc.(io.WriterTo).WriteTo(&b); n != 5 || err != nil || b.String() != "hello" {
		t.Errorf("WriteTo: %d, %v, %q", n, err, b.String())
	}
	if err := nc.(interface{ CloseRead() error }).CloseRead(); errors.Is(err, errors.ErrUnsupported) {
		t.Error(err) // any other is the kernel's, as both directions have ended
	}
}

// What a connection beneath cannot, ours says it cannot.
func TestForwardingUnsupported(t *testing.T) {
	p := newPipes()
	conns := drain.New(drain.Config{})
	peers := make(chan *client)
	go func() { peers <- p.dial() }()
	nc, err := conns.Listener(p).Accept()
	if err != nil {
		t.Fatal(err)
	}
	peer := <-peers
	defer nc.Close()

	if _, err := nc.(syscall.Conn).SyscallConn(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("SyscallConn: %v", err)
	}
	if err := nc.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseWrite: %v", err)
	}
	if err := nc.(interface{ CloseRead() error }).CloseRead(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseRead: %v", err)
	}
	go nc.(io.ReaderFrom).ReadFrom(strings.NewReader("hello"))
	b := make([]byte, 5)
	if _, err := io.ReadFull(peer, b); err != nil || string(b) != "hello" {
		t.Errorf("received %q, %v", b, err)
	}
}
