package reuseport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// UnixSocket is a listening Unix socket of any process.
type UnixSocket struct {
	Name  string // what it was bound to, as seen by who bound it
	UID   uint32 // who created it, as seen from our user namespace
	Inode uint64 // of the socket, not of its file; 0 if the kernel does not tell
	Queue Queue  // zero if the kernel does not tell
}

// Owner finds a process that holds the socket, and the name of its command. It
// looks through /proc, where an ordinary user sees only processes of his own.
// ok is false if none was found.
func (s UnixSocket) Owner() (pid int, command string, ok bool) { return owner(s.Inode) }

// ListeningUnix returns the socket that a path leads to, and nothing if there
// is no such file or only one that a dead process left. Nothing is connected. A
// file that is no socket is an error.
//
// sock_diag lists the listening sockets of our network namespace, though a path
// reaches those of others too. If somebody holds the socket and it is not
// listed, it is returned with its Name alone. That takes the right to connect
// to find out.
func ListeningUnix(ctx context.Context, path string) ([]UnixSocket, error) {
	path, err := unixPath(path)
	if err != nil {
		return nil, fmt.Errorf("reuseport: listening sockets: %w", err)
	}
	out, err := listeningUnix(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reuseport: listening sockets at %s: %w", path, err)
	}
	return out, nil
}
