package reuseport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Take makes the path lead to this socket from now on. Every connect(2) that
// looks the path up later comes here; one that has looked it up goes to the
// socket that was there before. If the path led here already, nothing
// changes.
//
// It replaces whatever socket the path led to, a stranger's too: see
// [ListeningUnix]. A file that is no socket is refused. The error matches
// net.ErrClosed if the socket is closed.
func (l *UnixListener) Take() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		return fmt.Errorf("reuseport: take %v: %w", l.addr, net.ErrClosed)
	}
	if err := l.lead(l.own); err != nil {
		return fmt.Errorf("reuseport: take %v: %w", l.addr, err)
	}
	return nil
}

// Give makes the path lead to the socket of another process, whose own name is
// path.own: back to a predecessor. It works whether or not our own socket is
// open.
//
// If that socket is gone, the path stays as it is, and the error matches
// fs.ErrNotExist if it left no name and syscall.ECONNREFUSED if it did.
func (l *UnixListener) Give(own string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.give(own); err != nil {
		return fmt.Errorf("reuseport: give %v to %q: %w", l.addr, own, err)
	}
	return nil
}

func (l *UnixListener) give(own string) error {
	name, err := ownName(l.addr.Name, own)
	if err != nil {
		return err
	}
	if err := replaceable(name); err != nil {
		return err
	}
	living, err := holdsSocket(name)
	if err != nil {
		return fmt.Errorf("its socket is gone: %w", err)
	}
	if !living {
		return fmt.Errorf("its process is gone: %w", syscall.ECONNREFUSED)
	}
	return l.lead(name)
}

// Taken reports whether the path leads to this socket.
func (l *UnixListener) Taken() (bool, error) {
	ours, err := l.is(l.addr.Name)
	if err != nil {
		return false, fmt.Errorf("reuseport: %w", err)
	}
	return ours, nil
}

// is reports whether a name is one of this socket.
func (l *UnixListener) is(name string) (bool, error) {
	fi, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(fi, l.file), err
}

// spare is a name for the moment between link(2) and rename(2). It begins
// with our own, so that no other process uses it at the same time.
func (l *UnixListener) spare() string { return l.own + "~" }

// lead replaces the path by a hard link to a socket's own name.
func (l *UnixListener) lead(name string) error {
	if err := replaceable(l.addr.Name); err != nil {
		return err
	}
	spare := l.spare()
	err := os.Link(name, spare)
	if errors.Is(err, fs.ErrExist) { // left from a process that ended here
		if err = replaceable(spare); err == nil {
			if err = os.Remove(spare); err == nil {
				err = os.Link(name, spare)
			}
		}
	}
	if err != nil {
		return err
	}
	err = os.Rename(spare, l.addr.Name)
	// rename(2) leaves both if they are the same file.
	if rerr := os.Remove(spare); err == nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = rerr
	}
	return err
}

// removeNames removes the names of the socket, and no others.
func (l *UnixListener) removeNames() error {
	var errs []error
	ours, err := l.is(l.addr.Name)
	if ours {
		err = l.removePath()
	}
	errs = append(errs, err)
	if ours, err = l.is(l.own); ours {
		err = os.Remove(l.own)
	}
	return errors.Join(append(errs, err)...)
}

// removePath removes the path, which leads here, unless somebody takes it this
// moment. unlink(2) cannot tell, so the path is moved away, and back if it was
// not ours any more.
func (l *UnixListener) removePath() error {
	spare := l.spare()
	if err := os.Rename(l.addr.Name, spare); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	ours, err := l.is(spare)
	if err == nil && !ours {
		if err = os.Link(spare, l.addr.Name); errors.Is(err, fs.ErrExist) {
			err = nil // and somebody else took it since
		}
	}
	return errors.Join(err, os.Remove(spare))
}

// maxUnixName is the longest name that a socket can be bound to: sun_path of
// struct sockaddr_un has 108 bytes, the last of which ends it (unix(7)).
const maxUnixName = 107

// unixPath returns the absolute form of a path for a socket.
func unixPath(path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("the path is empty")
	case path[0] == '@' || path[0] == 0:
		return "", errors.New("an abstract name belongs to one socket and is no file that could be renamed: use a path")
	case strings.ContainsRune(path, 0):
		return "", errors.New("the path contains a zero byte")
	}
	return filepath.Abs(path)
}

// ownName returns the name of the socket at a path that is told apart by own.
func ownName(path, own string) (string, error) {
	if own == "" || strings.ContainsFunc(own, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "", fmt.Errorf("own name %q, want letters, digits, - and _", own)
	}
	name := path + "." + own
	if len(name) > maxUnixName {
		return "", fmt.Errorf("its own name %q has %d bytes, and the kernel takes %d: use a shorter path",
			name, len(name), maxUnixName)
	}
	return name, nil
}

// replaceable returns nil if a name is a socket's or nobody's.
func replaceable(name string) error {
	fi, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case fi.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is no socket, and not removed (%v): remove it, or use another path", name, fi.Mode())
	}
	return nil
}

// vacate removes the own name that a dead process left, so that it can be bound
// again.
func vacate(ctx context.Context, own string) error {
	living, err := holdsSocket(own)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := replaceable(own); err != nil {
		return err
	}
	if !living {
		return os.Remove(own)
	}
	who := "an unknown process"
	if there, err := ListeningUnix(ctx, own); err == nil {
		for _, s := range there {
			if pid, command, ok := s.Owner(); ok {
				who = fmt.Sprintf("pid %d (%s)", pid, command)
			}
		}
	}
	return fmt.Errorf("its own name %s is held by %s, choose another UnixOptions.Own: %w", own, who, syscall.EADDRINUSE)
}
