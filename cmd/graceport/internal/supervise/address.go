package supervise

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/graceport/graceport/reuseport"
)

// address is one that the program listens on.
type address struct {
	text string
	host string // empty for every address of the port
	port uint16
}

func parseAddress(text string) (address, error) {
	host, service, err := net.SplitHostPort(text)
	if err != nil {
		return address{}, fmt.Errorf("%q: want HOST:PORT or :PORT", text)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return address{}, fmt.Errorf("%q: port %q, want a number from 1 to 65535", text, service)
	}
	return address{text: text, host: host, port: uint16(port)}, nil
}

// sockets returns the listening sockets of the address, whoever's they are.
func (a address) sockets(ctx context.Context) ([]reuseport.Socket, error) {
	all, err := reuseport.Listening(ctx, "tcp", int(a.port))
	if err != nil || a.host == "" {
		return all, err
	}
	want, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.host)
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", a.text, err)
	}
	return slices.DeleteFunc(all, func(s reuseport.Socket) bool {
		return !slices.ContainsFunc(want, func(ip netip.Addr) bool { return bare(ip) == bare(s.Addr.Addr()) })
	}), nil
}

func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
