package reuseport

import (
	"slices"
	"testing"
)

func TestQueues(t *testing.T) {
	l := open(t, "tcp4", "127.0.0.1:0", &Options{Sockets: 3, Strategy: CBPF})
	steer(t, l, Selection{To: Range{First: 2, Count: 1}})
	for range 7 {
		dial(t, l.Addr().String())
	}
	if got, want := queued(t, 7, l), []int{0, 0, 7}; !slices.Equal(got, want) {
		t.Errorf("queues are %v, want %v", got, want)
	}
	qs, err := l.Queues()
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range qs {
		if q.Limit < 1 {
			t.Errorf("queue %d: limit is %d", i, q.Limit)
		}
	}
	if err := l.CloseLast(); err != nil {
		t.Fatal(err)
	}
	if qs, err := l.Queues(); err != nil || len(qs) != 2 {
		t.Errorf("after one close: %v, %v, want 2 queues", qs, err)
	}
	_ = l.Close()
	if qs, err := l.Queues(); err != nil || len(qs) != 0 {
		t.Errorf("after close: %v, %v, want none", qs, err)
	}
}
