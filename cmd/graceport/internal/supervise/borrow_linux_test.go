package supervise

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// listening opens a socket and finds it as a stranger would.
func listening(t *testing.T, network, address string) (*reuseport.Listener, reuseport.Socket) {
	t.Helper()
	l, err := reuseport.Listen(t.Context(), network, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	all, err := reuseport.Listening(t.Context(), "tcp", l.Addr().(*net.TCPAddr).Port)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	return l, all[0]
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	all, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// Borrowing leaves nothing open, however it ends.
func TestBorrow(t *testing.T) {
	l, s := listening(t, "tcp4", "127.0.0.1:0")
	before := openDescriptors(t)
	for range 3 {
		ok := false
		if err := borrow(os.Getpid(), s, func(fd int) (err error) {
			ok, err = shares(fd)
			return err
		}); err != nil || !ok {
			t.Fatalf("SO_REUSEPORT is %v, %v", ok, err)
		}
	}
	fails := errors.New("it fails")
	if err := borrow(os.Getpid(), s, func(int) error { return fails }); !errors.Is(err, fails) {
		t.Errorf("%v", err)
	}
	l.Close()
	err := borrow(os.Getpid(), s, func(int) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "does not hold") {
		t.Errorf("after the close: %v", err)
	}
	if after := openDescriptors(t); after >= before {
		t.Errorf("%d descriptors, %d before the close", after, before)
	}
}

// Arrivals at a muted socket are neither accepted nor refused, and what was
// accepted goes on.
func TestMute(t *testing.T) {
	for _, x := range []struct{ network, listen, dial string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1"},
		{"tcp", "[::]:0", "127.0.0.1"},
	} {
		t.Run(x.network+" "+x.listen, func(t *testing.T) {
			if ln, err := net.Listen("tcp6", "[::1]:0"); x.network != "tcp4" && err != nil {
				t.Skipf("no IPv6: %v", err)
			} else if err == nil {
				ln.Close()
			}
			l, s := listening(t, x.network, x.listen)
			to := net.JoinHostPort(x.dial, strconv.Itoa(int(s.Addr.Port())))
			c, err := net.Dial("tcp", to)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			served, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer served.Close()
			if err := borrow(os.Getpid(), s, mute); err != nil {
				t.Fatal(err)
			}
			// On loopback an answer comes in far less.
			var timeout net.Error
			if c, err := net.DialTimeout("tcp", to, 300*time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("the client sees %v, %v", c, err)
			}
			if left, err := s.Empty(t.Context()); err != nil || left != (reuseport.Left{}) {
				t.Errorf("something came: %+v, %v", left, err)
			}
			if _, err := served.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Errorf("the accepted connection: %d, %v", n, err)
			}
		})
	}
}

// An ordinary user may not look into a zombie, which has nothing to hide.
func TestHoldersOfAZombie(t *testing.T) {
	child := exec.Command("true")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	for tick, deadline := time.Tick(time.Millisecond), time.After(patience); ; {
		if s, err := statOf(child.Process.Pid); err != nil || s.dead() {
			break
		}
		select {
		case <-tick:
		case <-deadline:
			t.Fatal("it did not end")
		}
	}
	if found, err := holders(child.Process.Pid, map[uint64]bool{1: true}); len(found) != 0 || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

func TestSocketInode(t *testing.T) {
	for link, want := range map[string]uint64{"socket:[123]": 123, "pipe:[1]": 0, "socket:[]": 0, "/dev/null": 0} {
		if got, ok := socketInode(link); got != want || ok != (want != 0) {
			t.Errorf("%q: %d, %v", link, got, ok)
		}
	}
}
