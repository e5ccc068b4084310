package reuseport

import (
	"syscall"

	"github.com/libp2p/go-reuseport"
)

// control sets SO_REUSEPORT, and SO_REUSEADDR as package net does too.
func control(network, address string, c syscall.RawConn) error {
	return reuseport.Control(network, address, c)
}
