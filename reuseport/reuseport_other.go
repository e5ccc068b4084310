//go:build !linux

package reuseport

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

// errOther is what everything returns outside Linux.
func errOther() error {
	return fmt.Errorf("not implemented on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// try makes Listen fail before it opens a socket.
func try(Strategy) error { return errOther() }

func control(string, string, syscall.RawConn) error { return errOther() }

func attach(int, Strategy, Selection) error { return errOther() }

func queueOf(int) (Queue, error) { return Queue{}, errOther() }

func inodeOf(int) (uint64, error) { return 0, errOther() }

func settle(context.Context) error { return errOther() }

func listening(context.Context, string, uint16) ([]Socket, error) { return nil, errOther() }

func bound(context.Context, uint16) ([]Socket, error) { return nil, errOther() }

func halfOpen(context.Context, string, uint16) ([]Handshake, error) { return nil, errOther() }

func owner(uint64) (pid int, command string, ok bool) { return 0, "", false }

func (r *Report) inspect(context.Context) error {
	return fmt.Errorf("reuseport: probe: %w", errOther())
}
