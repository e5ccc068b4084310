package reuseport

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childRole is the environment variable that makes the test binary play
// another process.
const childRole = "REUSEPORT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "hold":
		hold(os.Args[1], os.Args[2])
		return
	case "holdpacket":
		holdPacket(os.Args[1], os.Args[2])
		return
	case "drop":
		drop(os.Args[1])
		return
	case "unix":
		holdUnix(os.Args[1], os.Args[2])
		return
	}
	goroutines, sockets := runtime.NumGoroutine(), countSockets()
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // whose engine leaves goroutines behind
	if code == 0 && !fuzzing && !settled(func() bool { return runtime.NumGoroutine() <= goroutines && countSockets() <= sockets }) {
		fmt.Printf("leak: %d goroutines and %d sockets before, %d and %d after\n",
			goroutines, sockets, runtime.NumGoroutine(), countSockets())
		code = 1
	}
	os.Exit(code)
}

// settled asks until the answer is yes, or for ten seconds.
func settled(ok func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// eventually fails the test unless the answer becomes yes.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !settled(ok) {
		t.Fatalf("never happened: %s", what)
	}
}

func countSockets() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	n := 0
	for _, e := range entries {
		if link, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(link, "socket:") {
			n++
		}
	}
	return n
}

// childEnv is the environment of a child, in which the race detector does not
// linger for a second at exit.
func childEnv() []string { return append(os.Environ(), "GORACE=atexit_sleep_ms=0") }

// child starts the test binary in a role and returns its first line. It ends
// when the test does.
func child(t *testing.T, role string, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(childEnv(), childRole+"="+role)
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // its end is the sign to leave
		if err := cmd.Wait(); err != nil {
			t.Errorf("child %s: %v", role, err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("child %s said nothing: %v", role, err)
	}
	return strings.TrimSpace(line)
}

// hold listens as another user until stdin ends.
func hold(address, uid string) {
	id, err := strconv.Atoi(uid)
	if err == nil {
		err = syscall.Setuid(id)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	l, err := Listen(context.Background(), "tcp4", address, &Options{Strategy: None})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// drop listens as root, gives up root, steers and tells the outcome.
func drop(strategy string) {
	l, err := Listen(context.Background(), "tcp4", "127.0.0.1:0", &Options{Strategy: Strategy(strategy)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	before := l.Strategy()
	if err := syscall.Setuid(65534); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	err = l.Steer(Selection{To: Range{Count: 1}})
	fmt.Println(before, l.Strategy(), errors.Is(err, os.ErrPermission))
	_, _ = io.Copy(io.Discard, os.Stdin)
}
