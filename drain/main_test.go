package drain_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// TestMain fails if the tests leave goroutines behind.
func TestMain(m *testing.M) {
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
