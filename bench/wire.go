package bench

import (
	"fmt"
	"os"
	"time"
)

// On loopback a handshake is over before connect(2) returns. On the wire each
// packet takes wireDelay, so at any time some handshakes wait for their last
// ACK: clients connect to the far side, from where packets come back to the
// server.
const (
	wireServer  = "10.111.0.1"
	wireFarSide = "10.111.0.2"
	wireDelay   = 10 * time.Millisecond
)

// burstConns nearly fill an accept queue of burstQueue.
const (
	burstConns = 120
	burstQueue = 128
)

// prepareBurst limits accept queues, in this network namespace.
func prepareBurst() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/core/somaxconn", fmt.Appendln(nil, burstQueue), 0o644); err != nil {
		return fmt.Errorf("set net.core.somaxconn: %w", err)
	}
	return nil
}
