package reuseport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
)

// UnixOptions adjusts ListenUnix. The zero value, and nil, are right for most.
type UnixOptions struct {
	// Own tells the socket from others at the same path: its own name is
	// path.Own. It consists of letters, digits, "-" and "_". Empty means the
	// process id.
	Own string

	// Mode is the permission to connect, in the bits of fs.ModePerm that allow
	// to write, such as 0660. 0 leaves the mode of the file to the umask.
	Mode fs.FileMode

	// ListenConfig is copied; nil means its zero value. Its Control runs.
	ListenConfig *net.ListenConfig
}

// UnixListener is a listening Unix socket that shares its path with those of
// other processes, of which one at a time is reached through it. The methods
// may be called from several goroutines at once.
//
// Unix sockets have no groups. Each is bound to a name of its own beside the
// path, and the path is a hard link to one of these: Take and Give replace it
// by rename(2), so a connect(2) finds one socket or the other and never none.
// What waits in the queue of a socket stays there.
type UnixListener struct {
	addr   *net.UnixAddr // the path
	own    string        // the name that the socket is bound to
	file   fs.FileInfo   // of own, to tell it from others
	socket *net.UnixListener

	parkOnce sync.Once
	parked   chan struct{} // closed when Accept finds that nothing can come
	done     chan struct{} // closed by Close

	mu     sync.Mutex
	open   bool
	closed bool // Close was called
}

var _ net.Listener = (*UnixListener)(nil)

// ListenUnix opens a socket bound to path.Own. It listens at once, but path
// does not lead to it before Take. The network is unix or unixpacket.
//
// A path that exists and is no socket is refused, and so is an abstract name. If
// path.Own is left from a process that ended, it is replaced; if somebody holds
// it, the error names the process and matches syscall.EADDRINUSE. A relative
// path is made absolute; with its own name it may have 107 bytes. ctx bounds the
// search for the holder.
//
// The processes that share a path must belong to one user, because the kernel
// lets nobody else make a hard link to a socket (fs.protected_hardlinks), and
// need the right to write to its directory. Whoever else has that right can
// take the path too. Any process that can reach path can connect to path.Own
// as well; it is up to clients not to.
//
// LocalAddr of an accepted connection, and RemoteAddr on the client's side,
// are path.Own.
//
// On unixpacket, let clients close first. A read that does not wait, as those of
// Go, may report the end of the connection although an answer sent before it is
// in the queue: the kernel looks at the queue, then at the end, and both may come
// in between (__unix_dgram_recvmsg in net/unix/af_unix.c). Another read returns
// the answer. It happens with and without restarts, once in 350,000 exchanges on a
// busy machine.
func ListenUnix(ctx context.Context, network, path string, opts *UnixOptions) (*UnixListener, error) {
	if opts == nil {
		opts = &UnixOptions{}
	}
	l, err := listenUnix(ctx, network, path, opts)
	if err != nil {
		return nil, fmt.Errorf("reuseport: listen %s %q: %w", network, path, err)
	}
	return l, nil
}

func listenUnix(ctx context.Context, network, path string, opts *UnixOptions) (*UnixListener, error) {
	switch network {
	case "unix", "unixpacket":
	case "unixgram":
		return nil, fmt.Errorf("datagram sockets have no connections to accept, use unix or unixpacket: %w",
			net.UnknownNetworkError(network))
	default:
		return nil, net.UnknownNetworkError(network)
	}
	path, err := unixPath(path)
	if err != nil {
		return nil, err
	}
	own, err := opts.name(path)
	if err != nil {
		return nil, err
	}
	if opts.Mode&^fs.ModePerm != 0 {
		return nil, fmt.Errorf("UnixOptions.Mode is %v, want permissions only", opts.Mode)
	}
	if err := replaceable(path); err != nil {
		return nil, err
	}
	if err := vacate(ctx, own); err != nil {
		return nil, err
	}

	ln, err := opts.config().Listen(ctx, network, own)
	if err != nil {
		return nil, err
	}
	l := &UnixListener{
		addr:   &net.UnixAddr{Name: path, Net: network},
		own:    own,
		socket: ln.(*net.UnixListener),
		parked: make(chan struct{}),
		done:   make(chan struct{}),
		open:   true,
	}
	l.socket.SetUnlinkOnClose(false) // it goes by name, and the name may be another's by then
	if l.file, err = os.Lstat(own); err == nil && opts.Mode != 0 {
		err = os.Chmod(own, opts.Mode) // what the umask took away
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// name returns the name of its own for a socket at a path.
func (o *UnixOptions) name(path string) (string, error) {
	own := o.Own
	if own == "" {
		own = strconv.Itoa(os.Getpid())
	}
	return ownName(path, own)
}

// config returns a copy of the caller's ListenConfig that creates the file
// with no more permissions than wanted.
func (o *UnixOptions) config() *net.ListenConfig {
	var lc net.ListenConfig
	if o.ListenConfig != nil {
		lc = *o.ListenConfig
	}
	if o.Mode == 0 {
		return &lc
	}
	theirs := lc.Control
	lc.Control = func(network, address string, c syscall.RawConn) error {
		// bind(2) gives the file the socket's mode without the umask's bits
		// (unix_bind_bsd in net/unix/af_unix.c).
		if err := onFD(c, func(fd int) error { return chmodSocket(fd, o.Mode) }); err != nil {
			return err
		}
		if theirs == nil {
			return nil
		}
		return theirs(network, address, c)
	}
	return &lc
}

// Addr returns the path that the listener shares, as a *net.UnixAddr.
func (l *UnixListener) Addr() net.Addr { return l.addr }

// Strategy returns Rename.
func (l *UnixListener) Strategy() Strategy { return Rename }

// Open returns 1, or 0 after the socket was closed.
func (l *UnixListener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open {
		return 1
	}
	return 0
}

// Hide removes the names of the socket, so that nobody finds it any more: what
// is queued is accepted. It is for a socket that is to be closed whatever
// happens, ahead of Empty and CloseLast. Clients find no file until somebody
// else takes the path.
func (l *UnixListener) Hide() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.removeNames(); err != nil {
		return fmt.Errorf("reuseport: hide %v: %w", l.addr, err)
	}
	return nil
}

// CloseLast closes the socket and removes its own name, and the path if that
// still leads to it. Connections in its queue are reset, so Empty it first.
// Accept blocks from then on until Close, as that of Listener does.
//
// The error matches net.ErrClosed if the socket is closed.
func (l *UnixListener) CloseLast() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		return fmt.Errorf("reuseport: close last socket of %v: %w", l.addr, net.ErrClosed)
	}
	return l.close()
}

// Close is CloseLast if the socket is open, and ends Accept with net.ErrClosed. A
// second call does nothing.
func (l *UnixListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	if !l.open {
		return nil
	}
	return l.close()
}

// close removes the names first: while the socket is open, nobody else takes
// its own name for a stale one.
func (l *UnixListener) close() error {
	l.open = false
	err := l.removeNames()
	if cerr := l.socket.Close(); cerr != nil || err != nil {
		return fmt.Errorf("reuseport: close %v: %w", l.addr, errors.Join(err, cerr))
	}
	return nil
}

// Moved does nothing: there is no array whose order could change.
func (l *UnixListener) Moved(int) {}
