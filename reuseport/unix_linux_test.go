package reuseport

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestListenUnix(t *testing.T) {
	eachUnixNetwork(t, func(t *testing.T, network string) {
		path := unixTemp(t)
		l := openUnix(t, network, path, "a")
		if _, err := net.Dial(network, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("dial before Take: %v, want none to be there", err)
		}
		names(t, path, ".a")
		take(t, l)
		reaches(t, l)
		want := &net.UnixAddr{Name: path, Net: network}
		if got, ok := l.Addr().(*net.UnixAddr); !ok || *got != *want {
			t.Errorf("address is %#v, want %#v", l.Addr(), want)
		}
		if l.Strategy() != Rename || !l.Strategy().Steers() {
			t.Errorf("strategy is %s", l.Strategy())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		names(t, path)
	})
}

// The default own name is the process id.
func TestListenUnixDefaults(t *testing.T) {
	path := unixTemp(t)
	l, err := ListenUnix(t.Context(), "unix", path, nil)
	if err != nil {
		t.Fatal(err)
	}
	names(t, path, fmt.Sprintf(".%d", os.Getpid()))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestListenUnixRefuses(t *testing.T) {
	dir := filepath.Dir(unixTemp(t))
	at := func(name string) string { return filepath.Join(dir, name) }
	writeForeign(t, at("file"))
	writeForeign(t, at("x.file"))
	if err := os.Symlink(at("nowhere"), at("link")); err != nil {
		t.Fatal(err)
	}
	long := at(strings.Repeat("x", maxUnixName-len(dir)-2))
	tests := []struct {
		name, network, path string
		opts                UnixOptions
		says                []string
	}{
		{"no path", "unix", "", UnixOptions{}, []string{"empty"}},
		{"abstract", "unix", "@x", UnixOptions{}, []string{"abstract", "use a path"}},
		{"abstract, as the kernel has it", "unix", "\x00x", UnixOptions{}, []string{"abstract", "use a path"}},
		{"zero byte", "unix", at("a\x00b"), UnixOptions{}, []string{"zero byte"}},
		{"datagrams", "unixgram", at("s"), UnixOptions{}, []string{"unixgram", "use unix or unixpacket"}},
		{"TCP", "tcp", at("s"), UnixOptions{}, []string{"unknown network tcp"}},
		{"a file", "unix", at("file"), UnixOptions{}, []string{at("file"), "no socket"}},
		{"a file with our own name", "unix", at("x"), UnixOptions{Own: "file"}, []string{at("x.file"), "no socket"}},
		{"a link", "unix", at("link"), UnixOptions{}, []string{at("link"), "no socket"}},
		{"a directory", "unix", dir, UnixOptions{}, []string{dir, "no socket"}},
		{"no directory", "unix", at("none/s"), UnixOptions{}, []string{"no such file"}},
		{"a separator in the name", "unix", at("s"), UnixOptions{Own: "a/b"}, []string{"letters, digits"}},
		{"the mark of the spare name", "unix", at("s"), UnixOptions{Own: "a~"}, []string{"letters, digits"}},
		{"type bits", "unix", at("s"), UnixOptions{Mode: fs.ModeSocket | 0o600}, []string{"UnixOptions.Mode"}},
		{"too long", "unix", long, UnixOptions{Own: "a"}, []string{"has 108 bytes", "takes 107"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := ListenUnix(t.Context(), tt.network, tt.path, &tt.opts)
			if err == nil {
				_ = l.Close()
				t.Fatal("no error")
			}
			mustContain(t, err.Error(), append(tt.says, "reuseport: listen "+tt.network)...)
		})
	}
	untouched(t, at("file"))
	untouched(t, at("x.file"))

	fits := openUnix(t, "unix", long[:len(long)-1], "a")
	take(t, fits)
	reaches(t, fits)
}

func TestUnixMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o666, 0o660} {
		path := unixTemp(t)
		l := openUnixWith(t, "unix", path, &UnixOptions{Own: "a", Mode: mode})
		take(t, l)
		fi, err := os.Stat(path)
		if err != nil || fi.Mode().Perm() != mode {
			t.Errorf("mode is %v, %v, want %v", fi.Mode(), err, mode)
		}
	}
}

// The caller's Control runs and its ListenConfig stays as it was.
func TestUnixControl(t *testing.T) {
	for _, mode := range []fs.FileMode{0, 0o600} {
		calls := 0
		lc := &net.ListenConfig{Control: func(network, address string, _ syscall.RawConn) error {
			calls++
			if network != "unix" || !strings.HasSuffix(address, "s.a") {
				t.Errorf("control of %s %s", network, address)
			}
			return nil
		}}
		openUnixWith(t, "unix", unixTemp(t), &UnixOptions{Own: "a", Mode: mode, ListenConfig: lc})
		if calls != 1 {
			t.Errorf("mode %v: control ran %d times, want once", mode, calls)
		}
		refuses := errors.New("refused")
		lc.Control = func(string, string, syscall.RawConn) error { return refuses }
		if _, err := ListenUnix(t.Context(), "unix", unixTemp(t), &UnixOptions{Mode: mode, ListenConfig: lc}); !errors.Is(err, refuses) {
			t.Errorf("mode %v: %v, want the error of control", mode, err)
		}
	}
}

// A later change of the working directory does no harm.
func TestUnixRelativePath(t *testing.T) {
	path := unixTemp(t)
	t.Chdir(filepath.Dir(path))
	l := openUnix(t, "unix", filepath.Base(path), "a")
	t.Chdir("/")
	take(t, l)
	reaches(t, l)
	if l.Addr().String() != path {
		t.Errorf("address is %v, want %s", l.Addr(), path)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names(t, path)
}

func TestUnixOwnNameInUse(t *testing.T) {
	path := unixTemp(t)
	l := openUnix(t, "unix", path, "a")
	_, err := ListenUnix(t.Context(), "unix", path, &UnixOptions{Own: "a"})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("error is %v, want EADDRINUSE", err)
	}
	mustContain(t, err.Error(), path+".a", fmt.Sprintf("pid %d (", os.Getpid()), "UnixOptions.Own")
	take(t, l)
	reaches(t, l)
}

func TestUnixStaleOwnName(t *testing.T) {
	path := unixTemp(t)
	leaveStale(t, path+".a")
	l := openUnix(t, "unix", path, "a")
	take(t, l)
	reaches(t, l)
}

// The strategy of Unix sockets is none for TCP.
func TestListenWithRename(t *testing.T) {
	l, err := Listen(t.Context(), "tcp", "127.0.0.1:0", &Options{Strategy: Rename})
	if err == nil {
		_ = l.Close()
		t.Fatal("no error")
	}
	mustContain(t, err.Error(), `strategy "rename"`, "ListenUnix")
}
