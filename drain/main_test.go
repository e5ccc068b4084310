package drain_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// roleVar makes the test binary another program: one of roles.
const roleVar = "GRACEPORT_DRAIN_TEST_ROLE"

var roles = map[string]func(){"clients": clientsMain, "server": serverMain}

// TestMain fails if the tests leave goroutines behind.
func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleVar)]; role != nil {
		role()
		return
	}
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 && !settles(before) {
		fmt.Fprintf(os.Stderr, "%d goroutines before, %d after:\n", before, runtime.NumGoroutine())
		pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// settles waits for the number of goroutines to come down to want: those of
// closed connections end a moment after Drain.
func settles(want int) bool {
	end := time.Now().Add(10 * time.Second)
	wait(func() bool { return runtime.NumGoroutine() <= want || time.Now().After(end) })
	return runtime.NumGoroutine() <= want
}

// wait polls what cannot be waited for otherwise. The test's timeout bounds it.
func wait(until func() bool) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !until() {
		<-tick.C
	}
}

// child is the test binary in a role. It ends when its standard input does.
type child struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, role string, args ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	})
	return &child{in, bufio.NewReader(out)}
}

// line returns the next line that the child prints.
func (c *child) line(t *testing.T) string {
	t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the child said nothing more: %v", err)
	}
	return strings.TrimSpace(s)
}
