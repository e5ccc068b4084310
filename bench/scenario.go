package bench

import (
	"context"
	"time"
)

// A scenario is what one client does over and over.
type scenario struct {
	name    string
	summary string
	client  func(addr string, timeout time.Duration) client
}

// A client makes one request at a time and never repeats one.
type client interface {
	// do makes one request and returns the generation that answered it.
	do(ctx context.Context) (generation int, f *failure)
	close()
}

func scenarios() []scenario {
	return []scenario{
		{"short", "connect, one GET, read to the end, close", newShortClient},
		{"keepalive", "POST on persistent connections", newKeepaliveClient},
	}
}

// ScenarioNames lists the scenarios in the order in which they run.
func ScenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}
