package handoff

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"unicode/utf8"
)

// What cannot be bound twice is passed: descriptors travel with the lines of
// the takeover conversation, SCM_RIGHTS of unix(7).

const (
	// filesPerLine is below SCM_MAX_FD, 253 (include/net/scm.h).
	filesPerLine = 200
	maxFiles     = 10_000
	maxFileName  = 255
)

// Files returns the files that the predecessor offered by its Config.Files.
// They are the caller's to close; a second call returns none. What was not
// fetched when Ready succeeds is closed.
//
// net.FileListener, net.FilePacketConn and net.FileConn make of a socket what
// it was. Both generations hold the same open file until the older closes its
// own: of a listener or a datagram socket, both receive as long as both read.
func (g *Generation) Files() map[string]*os.File {
	g.mu.Lock()
	defer g.mu.Unlock()
	files := make(map[string]*os.File, len(g.files))
	for name, fd := range g.files {
		files[name] = os.NewFile(uintptr(fd), name)
	}
	g.files = nil
	return files
}

// keepFiles keeps what the predecessor sent until Files is called.
func (g *Generation) keepFiles(m message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if isClosed(g.serving) { // too late, see Files
		m.descriptors.close()
		return
	}
	if g.files == nil {
		g.files = map[string]int{}
	}
	for i, fd := range m.descriptors {
		if former, twice := g.files[m.Files[i]]; twice {
			descriptors{former}.close()
		}
		g.files[m.Files[i]] = fd
	}
}

func (g *Generation) closeFiles() {
	g.mu.Lock()
	defer g.mu.Unlock()
	descriptors(slices.Collect(maps.Values(g.files))).close()
	g.files = nil
}

// sendFiles sends the successor what Config.Files had, ahead of the welcome.
func (g *Generation) sendFiles(files map[string]syscall.Conn) {
	names := slices.Sorted(maps.Keys(files))
	if err := checkFiles(names); err != nil {
		g.log.Error("the files were not handed over", "error", err)
		return
	}
	for some := range slices.Chunk(names, filesPerLine) {
		m := message{Type: msgFiles}
		for _, name := range some {
			fd, err := duplicate(files[name])
			if err != nil {
				g.log.Error("a file was not handed over", "name", name, "error", err)
				continue
			}
			m.Files, m.descriptors = append(m.Files, name), append(m.descriptors, fd)
		}
		g.loop.lower.send(m)
	}
}

func checkFiles(names []string) error {
	if len(names) > maxFiles {
		return fmt.Errorf("%d files, at most %d", len(names), maxFiles)
	}
	for _, name := range names {
		if len(name) > maxFileName || !utf8.ValidString(name) {
			return fmt.Errorf("the name %.40q is not UTF-8 of at most %d bytes", name, maxFileName)
		}
	}
	return nil
}

// duplicate returns a descriptor of its own for the same open file, so that the
// application may close its one meanwhile.
func duplicate(c syscall.Conn) (fd int, err error) {
	if c == nil {
		return -1, errors.New("it is nil")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := raw.Control(func(of uintptr) { fd, err = dup(int(of)) })
	if cerr != nil {
		return -1, cerr
	}
	return fd, err
}

// descriptors are open files that nothing else owns.
type descriptors []int

func (d descriptors) close() {
	for _, fd := range d {
		os.NewFile(uintptr(fd), "").Close()
	}
}

// A rightsReader reads a connection and keeps the descriptors that come with
// the bytes. The kernel ends a read where another message with descriptors
// begins, so they are here when their line is.
type rightsReader struct {
	conn  *net.UnixConn
	oob   []byte
	got   descriptors
	short bool // the kernel had to drop some
}

func newRightsReader(conn *net.UnixConn) *rightsReader {
	return &rightsReader{conn: conn, oob: make([]byte, rightsSpace(filesPerLine))}
}

func (r *rightsReader) Read(p []byte) (int, error) {
	n, oobn, flags, _, err := r.conn.ReadMsgUnix(p, r.oob)
	fds, perr := parseRights(r.oob[:oobn])
	r.got = append(r.got, fds...)
	r.short = r.short || perr != nil || truncated(flags)
	if errors.Is(err, io.EOF) {
		err = io.EOF // without what net wraps it in
	}
	return n, err
}

// take returns the descriptors of a message that names n.
func (r *rightsReader) take(n int) (descriptors, error) {
	if r == nil || n == 0 {
		return nil, nil
	}
	if r.short || len(r.got) < n {
		return nil, fmt.Errorf("%d of %d files arrived: is the limit of open files too low?", min(len(r.got), n), n)
	}
	d := r.got[:n:n]
	r.got = r.got[n:]
	return d, nil
}

// close closes what no message named. A nil reader has nothing.
func (r *rightsReader) close() {
	if r != nil {
		r.got.close()
		r.got = nil
	}
}

// sendRights writes the bytes, the descriptors with the first of them.
func sendRights(conn net.Conn, b []byte, d descriptors) error {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return errors.New("handoff: files need a Unix socket")
	}
	n, _, err := uc.WriteMsgUnix(b, rights(d), nil)
	if err == nil && n < len(b) {
		_, err = uc.Write(b[n:])
	}
	return err
}
