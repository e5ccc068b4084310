package handoff_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/graceport/graceport/handoff"
)

// openGeneration opens one in this process.
func openGeneration(t *testing.T, cfg handoff.Config) *handoff.Generation {
	t.Helper()
	g, err := handoff.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// passed hands files from a first generation to a second and returns what that
// gets.
func passed(t *testing.T, files map[string]syscall.Conn) map[string]*os.File {
	t.Helper()
	cfg := handoff.Config{Dir: newService(t).Dir, Files: func() map[string]syscall.Conn { return files }}
	first := openGeneration(t, cfg)
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := openGeneration(t, cfg)
	got := second.Files()
	t.Cleanup(func() {
		for _, f := range got {
			f.Close()
		}
	})
	if again := second.Files(); len(again) > 0 {
		t.Errorf("a second call returns files: %v", again)
	}
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestListenerIsPassed(t *testing.T) {
	old, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT
	if err != nil {
		t.Fatal(err)
	}
	f := passed(t, map[string]syscall.Conn{"web": old.(*net.TCPListener)})["web"]
	ln, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	old.Close()
	client, err := net.Dial("tcp", old.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	converses(t, client, server)
}

func TestPacketConnIsPassed(t *testing.T) {
	old, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := passed(t, map[string]syscall.Conn{"dns": old.(*net.UDPConn)})["dns"]
	conn, err := net.FilePacketConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	old.Close()
	client, err := net.Dial("udp", old.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "ping")
	b := make([]byte, 10)
	n, _, err := conn.ReadFrom(b)
	if err != nil || string(b[:n]) != "ping" {
		t.Errorf("read %q, %v", b[:n], err)
	}
}

func TestConnIsPassed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	old, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f := passed(t, map[string]syscall.Conn{"session": old.(*net.TCPConn)})["session"]
	server, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	old.Close()
	converses(t, client, server)
}

func TestFileIsPassed(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f := passed(t, map[string]syscall.Conn{"log": w})["log"]
	w.Close()
	io.WriteString(f, "from the successor")
	f.Close()
	if b, err := io.ReadAll(r); string(b) != "from the successor" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
}

// More than one line holds, each the one that its name says.
func TestManyFilesArePassed(t *testing.T) {
	files := map[string]syscall.Conn{}
	for i := range 450 {
		name := fmt.Sprintf("file %d", i)
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		io.WriteString(f, name)
		files[name] = f
	}
	got := passed(t, files)
	if len(got) != len(files) {
		t.Errorf("%d files arrived", len(got))
	}
	for name, f := range got {
		b := make([]byte, 20)
		if n, _ := f.ReadAt(b, 0); string(b[:n]) != name {
			t.Errorf("%q holds %q", name, b[:n])
		}
	}
}

// What the successor does not fetch is closed when it serves: nothing holds
// the pipe open.
func TestFilesNotFetched(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cfg := handoff.Config{Dir: newService(t).Dir}
	offering := cfg
	offering.Files = func() map[string]syscall.Conn { return map[string]syscall.Conn{"log": w} }
	if err := openGeneration(t, offering).Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := openGeneration(t, cfg)
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if b, err := io.ReadAll(r); len(b) > 0 || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if files := second.Files(); len(files) > 0 {
		t.Errorf("files after Ready: %v", files)
	}
}

// A file that cannot be offered hinders neither the others nor the takeover.
func TestFilesThatCannotBePassed(t *testing.T) {
	closed, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	closed.Close()
	got := passed(t, map[string]syscall.Conn{"closed": closed, "nil": nil, "pipe": w})
	if len(got) != 1 || got["pipe"] == nil {
		t.Errorf("got %v", got)
	}
	if got := passed(t, map[string]syscall.Conn{strings.Repeat("x", 256): w}); len(got) > 0 {
		t.Errorf("a name that is too long was passed: %v", got)
	}
}

// converses checks that two ends belong together.
func converses(t *testing.T, client, server net.Conn) {
	t.Helper()
	io.WriteString(client, "ping\n")
	if line, err := bufio.NewReader(server).ReadString('\n'); line != "ping\n" || err != nil {
		t.Errorf("the server reads %q, %v", line, err)
	}
}
