package handoff_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// descriptorsOf counts this process's descriptors of the pipe that f is an end
// of.
func descriptorsOf(t *testing.T, f *os.File) (n int) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var pipe string
	raw.Control(func(fd uintptr) { pipe, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) })
	if err != nil {
		t.Fatal(err)
	}
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, _ := os.Readlink(link); to == pipe {
			n++
		}
	}
	return n
}

// A successor that dies while it is sent files leaves none of them behind.
func TestFilesForOneThatDies(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	files := map[string]syscall.Conn{}
	for i := range 1000 { // several lines of the conversation
		files[fmt.Sprint(i)] = w
	}
	cfg := handoff.Config{Dir: newService(t).Dir, Files: func() map[string]syscall.Conn { return files }}
	g := openGeneration(t, cfg)
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		conn, _ := dialTakeover(t, cfg.Dir)
		io.WriteString(conn, `{"type":"hello","protocol":1,"generation":9}`+"\n")
		conn.Close()
		eventually(t, "the takeover has failed", func() bool { return g.Metrics().Takeovers["died"] == uint64(round+1) })
	}
	eventually(t, "only our own two ends are open", func() bool { return descriptorsOf(t, w) == 2 })
}

// A predecessor that was silent may send its files after Ready. Nobody will ask
// for them any more, so they are closed.
func TestFilesThatComeLate(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	silent := make(chan struct{})
	cfg := handoff.Config{Dir: newService(t).Dir, Files: func() map[string]syscall.Conn {
		<-silent
		return map[string]syscall.Conn{"log": w}
	}}
	first := openGeneration(t, cfg)
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := openGeneration(t, handoff.Config{Dir: cfg.Dir, StepTimeout: 300 * time.Millisecond})
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(silent)
	awaitSuperseded(t, first) // its files came before that
	if files := second.Files(); len(files) > 0 {
		t.Errorf("files after Ready: %v", files)
	}
	eventually(t, "only our own two ends are open", func() bool { return descriptorsOf(t, w) == 2 })
	w.Close()
}
