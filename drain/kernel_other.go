//go:build !linux

package drain

import "net"

func waiting(net.Conn) bool { return false }

func trafficOf(net.Conn) (traffic, bool) { return traffic{}, false }
