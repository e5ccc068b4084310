package reuseport

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// eachUnixNetwork runs a test with stream sockets and with those that keep the
// bounds of packets.
func eachUnixNetwork(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range []string{"unix", "unixpacket"} {
		t.Run(network, func(t *testing.T) { f(t, network) })
	}
}

// unixTemp returns a path in a directory of its own, which t.TempDir could make
// too long for a socket.
func unixTemp(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "reuseport")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "s")
}

// openUnix is ListenUnix with a Close at the end of the test.
func openUnix(t testing.TB, network, path, own string) *UnixListener {
	t.Helper()
	return openUnixWith(t, network, path, &UnixOptions{Own: own})
}

func openUnixWith(t testing.TB, network, path string, opts *UnixOptions) *UnixListener {
	t.Helper()
	l, err := ListenUnix(t.Context(), network, path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

func take(t testing.TB, l *UnixListener) {
	t.Helper()
	if err := l.Take(); err != nil {
		t.Fatal(err)
	}
}

// leads expects the path to lead to one of several listeners, or to none.
func leads(t testing.TB, to *UnixListener, ls ...*UnixListener) {
	t.Helper()
	for _, l := range ls {
		got, err := l.Taken()
		if err != nil || got != (l == to) {
			t.Errorf("path leads to %s: %t, %v", l.own, got, err)
		}
	}
}

func dialUnix(t testing.TB, network, path string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: 30 * time.Second}
	c, err := d.DialContext(t.Context(), network, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// acceptUnix takes one connection.
func acceptUnix(t testing.TB, l *UnixListener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// reaches expects a client of the path to come to a listener.
func reaches(t testing.TB, l *UnixListener) {
	t.Helper()
	c := dialUnix(t, l.addr.Net, l.addr.Name)
	if got := c.RemoteAddr().String(); got != l.own {
		t.Fatalf("client came to %s, want %s", got, l.own)
	}
	_ = acceptUnix(t, l).Close()
}

// names expects the directory of a path to hold these files, given without
// what the path begins with.
func names(t testing.TB, path string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name()[len(filepath.Base(path)):])
	}
	if !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q", got, want)
	}
}

// leaveStale makes what a dead process leaves.
func leaveStale(t testing.TB, name string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
}

// writeForeign makes a file that is nobody's to remove.
func writeForeign(t testing.TB, name string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// untouched expects that file to be still there.
func untouched(t testing.TB, name string) {
	t.Helper()
	if b, err := os.ReadFile(name); err != nil || string(b) != "precious" {
		t.Errorf("the file of somebody else: %q, %v", b, err)
	}
}
