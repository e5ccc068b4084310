package thirdparty

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// patience is for what happens at once unless the machine is busy.
const patience = 30 * time.Second

// TestMain fails if the tests leave goroutines or descriptors behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		f.Value.Set("4") // the tests mostly wait
	}
	goroutines, files := runtime.NumGoroutine(), descriptors()
	code := m.Run()
	if code == 0 && !until(func() bool {
		return runtime.NumGoroutine() <= goroutines+clock && descriptors() <= files+runtimeFiles
	}) {
		fmt.Fprintf(os.Stderr, "goroutines %d, then %d; descriptors %d, then %d\n",
			goroutines, runtime.NumGoroutine(), files, descriptors())
		pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// clock is fasthttp's goroutine for the date, which stays.
const clock = 1

// runtimeFiles are the poller's own, which stay: epoll and eventfd.
const runtimeFiles = 2

// descriptors counts what is open, or returns 0 where that cannot be told.
func descriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// until polls what cannot be waited for otherwise.
func until(done func() bool) bool {
	end := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(end) {
			return false
		}
		<-tick.C
	}
	return true
}
