package drain_test

import (
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// table has descriptors and makes system calls on them. RLIMIT_NOFILE, which
// only the privileged may raise, bounds a table of descriptors and not a
// process, and a thread may have a table of its own (CLONE_FILES, unshare(2)).
// So a process can have 100,000 connections where the limit is 20,000.
type table struct {
	calls chan func()
	end   func()
}

// newTable returns the process's own table, or one apart. That begins as a copy,
// and keeps open what is open now until its end.
func newTable(apart bool) (*table, error) {
	// The runtime's poller has descriptors that any thread may use. A timer is
	// the shortest way to start it, so that they are in the copy.
	time.AfterFunc(time.Hour, func() {}).Stop()
	t := &table{calls: make(chan func(), 256)}
	t.end = sync.OnceFunc(func() { close(t.calls) })
	began := make(chan error)
	go func() {
		if apart {
			// It is never unlocked, so that the thread ends with the goroutine,
			// and its table with the thread.
			runtime.LockOSThread()
			if err := unix.Unshare(unix.CLONE_FILES); err != nil {
				began <- os.NewSyscallError("unshare", err)
				return
			}
		}
		began <- nil
		for call := range t.calls {
			call()
		}
	}()
	return t, <-began
}

// do calls f where the descriptors of t are, and returns when f has.
func (t *table) do(f func()) {
	done := make(chan struct{})
	t.calls <- func() {
		defer close(done)
		f()
	}
	<-done
}
