package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// An inventory is what the driver holds: a measurement must give back all
// that it took.
type inventory struct {
	goroutines  int
	descriptors int
	children    map[int]string // state by pid
}

func takeInventory() inventory {
	return inventory{
		goroutines:  runtime.NumGoroutine(),
		descriptors: openDescriptors(),
		children:    children(),
	}
}

// settleTime is how long goroutines may take to end after the call that they
// belonged to has returned.
const settleTime = 2 * time.Second

// leftovers says what the driver holds now beyond the inventory. It waits for
// it to go away, up to settleTime.
func (before inventory) leftovers(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		over := before.compare(takeInventory())
		if len(over) == 0 || !wait(ctx, 5*time.Millisecond, nil) {
			return over
		}
	}
}

func (before inventory) compare(now inventory) (over []string) {
	if n := now.goroutines - before.goroutines; n > 0 {
		over = append(over, fmt.Sprintf("%d goroutines of the driver", n))
	}
	if n := now.descriptors - before.descriptors; n > 0 {
		over = append(over, fmt.Sprintf("%d descriptors of the driver", n))
	}
	for pid, state := range now.children {
		if _, ok := before.children[pid]; !ok {
			over = append(over, fmt.Sprintf("process %d in state %s", pid, state))
		}
	}
	return over
}
