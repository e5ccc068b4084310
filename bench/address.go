package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// freeAddress finds a port of host below the range from which clients get
// theirs: a client's own port must not block the server's bind between two
// generations.
func freeAddress(host string) (string, error) {
	low := firstEphemeralPort()
	lowest := max(1024, low-20000)
	if lowest >= low {
		return "", errors.New("bench: net.ipv4.ip_local_port_range leaves no port for the servers; raise its lower bound above 1024")
	}
	// Random, or two benches at the same time would choose the same port.
	var lastErr error
	for range 100 {
		port := lowest + rand.IntN(low-lowest)
		ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return ln.Addr().String(), ln.Close()
		}
		lastErr = err
	}
	return "", fmt.Errorf("bench: no free port of %s below net.ipv4.ip_local_port_range: %w", host, lastErr)
}

func firstEphemeralPort() int {
	low := 32768 // the kernel's default
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(b), &low)
	}
	return low
}
