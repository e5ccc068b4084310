package reuseport

import "syscall"

// Queue is the accept queue of a listening socket, in connections. That of a UDP
// socket is its receive queue, in bytes.
type Queue struct {
	Len   int `json:"len"`   // waiting for accept(2)
	Limit int `json:"limit"` // the backlog, as net.core.somaxconn bounds it
}

// Queues returns the accept queue of each open socket, in their order; none if
// all are closed. A connection that an acceptor holds in its hand is in none of
// them.
func (l *Listener) Queues() ([]Queue, error) {
	return each(l, queueOf)
}

// Inodes returns the inode of each open socket, in their order; none if all are
// closed. They tell the listener's sockets from others in Group.
func (l *Listener) Inodes() ([]uint64, error) {
	return each(l, inodeOf)
}

// each asks every open socket.
func each[T any](l *Listener, ask func(fd int) (T, error)) ([]T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]T, 0, len(l.sockets))
	for _, ln := range l.sockets {
		v, err := of(ln, ask)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// of asks one socket.
func of[T any](c syscall.Conn, ask func(fd int) (T, error)) (v T, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return v, err
	}
	err = onFD(raw, func(fd int) error {
		v, err = ask(fd)
		return err
	})
	return v, err
}

// onFD runs f while the descriptor cannot be closed, and returns f's error.
func onFD(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
