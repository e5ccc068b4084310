//go:build !linux

package reuseport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
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

func idle(netip.Addr, uint64) bool { return false }

func settle(context.Context) error { return errOther() }

func listening(context.Context, string, uint16) ([]Socket, error) { return nil, errOther() }

func bound(context.Context, string, uint16) ([]Socket, error) { return nil, errOther() }

func halfOpen(context.Context, string, uint16) ([]Handshake, error) { return nil, errOther() }

func owner(uint64) (pid int, command string, ok bool) { return 0, "", false }

func (r *Report) inspect(context.Context) error {
	return fmt.Errorf("reuseport: probe: %w", errOther())
}

// holdsSocket makes ListenUnix fail before it opens a socket.
func holdsSocket(string) (bool, error) { return false, errOther() }

func chmodSocket(int, fs.FileMode) error { return errOther() }

func unixQueued(int) (int, error) { return 0, errOther() }

func unixQueueOf(int) (Queue, error) { return Queue{}, errOther() }

func listeningUnix(context.Context, string) ([]UnixSocket, error) { return nil, errOther() }

func exclusive(syscall.RawConn) error { return errOther() }

func shareable(syscall.RawConn) error { return errOther() }

func memoryOf(int) (Queue, error) { return Queue{}, errOther() }

func readable(int) (bool, error) { return false, errOther() }

func bindNowhere(int) error { return errOther() }
