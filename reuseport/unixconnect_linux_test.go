package reuseport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What connect(2) does during a takeover (unix_stream_connect in
// net/unix/af_unix.c): a client that waits for room in a full queue looks the
// path up again, both when there is room and when the socket closes.
func TestUnixBlockedConnect(t *testing.T) {
	wakes := map[string]func(*testing.T, *UnixListener){
		"by room": func(t *testing.T, old *UnixListener) { acceptUnix(t, old) },
		"by close": func(t *testing.T, old *UnixListener) {
			if err := old.CloseLast(); err != nil {
				t.Error(err)
			}
		},
	}
	for name, wake := range wakes {
		t.Run(name, func(t *testing.T) {
			path, old, successor := two(t, "unix")
			fill(t, old)
			came := make(chan error, 1)
			go func() { came <- connectBlocking(path) }()
			eventually(t, "the client waits for room", connectWaits)
			take(t, successor)
			wake(t, old)
			acceptUnix(t, successor)
			if err := <-came; err != nil {
				t.Error(err)
			}
		})
	}
}

// A Go client does not wait.
func TestUnixDialFullQueue(t *testing.T) {
	path, old, successor := two(t, "unix")
	fill(t, old)
	if _, err := net.Dial("unix", path); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("dial: %v, want EAGAIN", err)
	}
	take(t, successor)
	reaches(t, successor)
}

// fill makes the queue short and leaves no room in it.
func fill(t *testing.T, l *UnixListener) {
	t.Helper()
	_, err := of(l.socket, func(fd int) (struct{}, error) {
		return struct{}{}, os.NewSyscallError("listen", unix.Listen(fd, 0))
	})
	if err != nil {
		t.Fatal(err)
	}
	dialUnix(t, l.addr.Net, l.addr.Name)
}

// connectBlocking connects as a program without a poller does.
func connectBlocking(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	for errors.Is(err, unix.EINTR) { // of the runtime's own signals
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	return os.NewSyscallError("connect", err)
}

// connectWaits reports whether a thread of ours sleeps in connect(2): proc(5)
// shows the number of the system call.
func connectWaits() bool {
	tasks, _ := filepath.Glob("/proc/self/task/*/syscall")
	for _, task := range tasks {
		call, _ := os.ReadFile(task)
		if strings.HasPrefix(string(call), fmt.Sprintf("%d ", unix.SYS_CONNECT)) {
			return true
		}
	}
	return false
}
