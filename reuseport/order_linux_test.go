package reuseport

import (
	"slices"
	"testing"
)

// After the sockets below have closed, ours are numbered as the kernel has
// them, so that the next CloseLast takes the one with the highest index.
func TestMoved(t *testing.T) {
	for below := range 6 {
		l := open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: below + 1, Strategy: CBPF})
		// The first listener keeps one socket more than moves, at index 0.
		const own = 4
		ours := open(t, "tcp4", l.Addr().String(), &Options{Sockets: own, Strategy: CBPF})
		for range below {
			if err := l.CloseLast(); err != nil {
				t.Fatal(err)
			}
		}
		ours.Moved(below)
		want := make([]int, own)
		for i := range own {
			steer(t, ours, Selection{To: Range{First: 1 + i, Count: 1}})
			dial(t, l.Addr().String())
			want[i] = 1
			if got := queued(t, i+1, ours); !slices.Equal(got, want) {
				t.Fatalf("%d closed below: slot %d: queues are %v, want %v", below, 1+i, got, want)
			}
		}
	}
}

func TestMovedWithoutSockets(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", nil)
	_ = l.Close()
	l.Moved(3)
	if l.Open() != 0 {
		t.Errorf("%d open", l.Open())
	}
}
