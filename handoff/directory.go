package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// directory is the control directory of one service: where its generations
// find each other.
//
//	lock             flock, held while a generation joins; holds its pid and number
//	gen-7.sock       the control socket of a generation
//	leader           symlink to the leader's socket, replaced by rename
type directory string

const (
	lockName   = "lock"
	leaderName = "leader"
	// maxSocketPath is the size of sockaddr_un's sun_path less its final zero,
	// unix(7).
	maxSocketPath = 107
)

// openDirectory makes the directory where it is missing, and refuses one in
// which somebody else could put a socket of theirs.
func openDirectory(path string) (directory, error) {
	if path == "" {
		return "", errors.New("handoff: Config.Dir is empty: name a directory for the control sockets, such as /run/hello")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if longest := filepath.Join(path, socketName(99_999_999)); len(longest) > maxSocketPath {
		return "", fmt.Errorf("handoff: control directory %s: the path is %d bytes too long for a Unix socket", path, len(longest)-maxSocketPath)
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("handoff: control directory: %w", err)
	}
	return directory(path), checkDirectory(path)
}

func checkDirectory(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("handoff: control directory: %w", err)
	}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("handoff: control directory %s is a symlink: name the directory itself", path)
	case !fi.IsDir():
		return fmt.Errorf("handoff: control directory %s is not a directory", path)
	case ownerOf(fi) != os.Geteuid():
		return fmt.Errorf("handoff: control directory %s belongs to uid %d, not to ours (%d)", path, ownerOf(fi), os.Geteuid())
	case fi.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("handoff: others may write to control directory %s (mode %v): chmod 700 it", path, fi.Mode().Perm())
	}
	parent, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("handoff: control directory: %w", err)
	}
	if parent.Mode().Perm()&0o022 != 0 && parent.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("handoff: others may write to %s (mode %v), and so replace control directory %s: choose another place, such as below /run",
			filepath.Dir(path), parent.Mode().Perm(), path)
	}
	return nil
}

func socketName(generation int) string { return fmt.Sprintf("gen-%d.sock", generation) }

func generationOf(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "gen-")
	digits, ok2 := strings.CutSuffix(digits, ".sock")
	n, err := strconv.Atoi(digits)
	return n, ok && ok2 && err == nil && n > 0 && socketName(n) == name
}

func (d directory) join(name string) string { return filepath.Join(string(d), name) }

// generations lists those that have a socket, the newest first.
func (d directory) generations() ([]int, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var gens []int
	for _, e := range entries {
		if n, ok := generationOf(e.Name()); ok {
			gens = append(gens, n)
		}
	}
	slices.Sort(gens)
	slices.Reverse(gens)
	return gens, nil
}

// leader is the generation that the link names, 0 if there is none.
func (d directory) leader() int {
	target, err := os.Readlink(d.join(leaderName))
	if err != nil {
		return 0
	}
	n, _ := generationOf(target)
	return n
}

func (d directory) setLeader(generation int) error {
	temp := d.join(fmt.Sprintf("%s.%d", leaderName, generation))
	os.Remove(temp) // of an earlier attempt that was killed between the two calls
	if err := os.Symlink(socketName(generation), temp); err != nil {
		return err
	}
	return os.Rename(temp, d.join(leaderName))
}

// next is the number of a new generation: more than any that was seen. It is
// kept in the lock file, because one that gave up leaves no other trace.
func (d directory) next(lock *os.File) (int, error) {
	gens, err := d.generations()
	if err != nil {
		return 0, err
	}
	_, last := readLock(lock)
	n := max(d.leader(), last, slices.Max(append(gens, 0))) + 1
	if err := lock.Truncate(0); err != nil {
		return 0, err
	}
	_, err = lock.WriteAt(fmt.Appendf(nil, "%d %d\n", os.Getpid(), n), 0)
	return n, err
}

// readLock reads who held the lock last, and the last generation's number.
func readLock(f *os.File) (pid, generation int) {
	b := make([]byte, 64)
	n, _ := f.ReadAt(b, 0)
	fmt.Sscan(string(b[:n]), &pid, &generation) // an empty file says nothing
	return pid, generation
}

// candidates lists the generations that may lead, the link's target first.
func (d directory) candidates() ([]int, error) {
	gens, err := d.generations()
	if err != nil {
		return nil, err
	}
	if i := slices.Index(gens, d.leader()); i > 0 {
		gens = slices.Insert(slices.Delete(gens, i, i+1), 0, d.leader())
	}
	return gens, nil
}

// lock waits for the lock until ctx ends. It is held until the file is closed.
func (d directory) lock(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(d.join(lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		ok, err := tryLock(f)
		if ok {
			return f, nil
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("handoff: lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			pid, generation := readLock(f)
			f.Close()
			return nil, fmt.Errorf("handoff: %w: the lock %s is held by process %d, which joins as generation %d: %w",
				ErrBusy, d.join(lockName), pid, generation, context.Cause(ctx))
		case <-poll.C:
		}
	}
}

// listen makes the control socket of a generation.
func (d directory) listen(generation int) (*net.UnixListener, os.FileInfo, error) {
	path := d.join(socketName(generation))
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, nil, fmt.Errorf("handoff: control socket: %w", err)
	}
	// Our path may by then be another's, so removing it is for remove alone.
	ln.SetUnlinkOnClose(false)
	fi, err := os.Lstat(path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		ln.Close()
		return nil, nil, fmt.Errorf("handoff: control socket: %w", err)
	}
	return ln, fi, nil
}

// sweep removes the sockets of dead generations: those that refuse a
// connection. Whoever holds the lock may.
func (d directory) sweep() error {
	gens, err := d.generations()
	if err != nil {
		return err
	}
	for _, n := range gens {
		path := d.join(socketName(n))
		conn, err := net.Dial("unix", path)
		if errors.Is(err, syscall.ECONNREFUSED) {
			os.Remove(path)
		}
		if err == nil {
			conn.Close()
		}
	}
	return nil
}

// remove removes our socket's path if it is still ours.
func (d directory) remove(generation int, ours os.FileInfo) {
	path := d.join(socketName(generation))
	if fi, err := os.Lstat(path); err == nil && os.SameFile(fi, ours) {
		os.Remove(path)
	}
}
