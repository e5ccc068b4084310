package reuseport

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"
)

// two are a predecessor, to which the path leads, and its successor.
func two(t *testing.T, network string) (path string, old, successor *UnixListener) {
	t.Helper()
	path = unixTemp(t)
	old = openUnix(t, network, path, "old")
	take(t, old)
	return path, old, openUnix(t, network, path, "new")
}

func TestTakeAndGive(t *testing.T) {
	eachUnixNetwork(t, func(t *testing.T, network string) {
		path, old, successor := two(t, network)
		leads(t, old, old, successor)
		reaches(t, old)
		for range 3 {
			take(t, successor)
			take(t, successor) // changes nothing
			names(t, path, "", ".new", ".old")
			leads(t, successor, old, successor)
			reaches(t, successor)
			if err := successor.Give("old"); err != nil {
				t.Fatal(err)
			}
			leads(t, old, old, successor)
			reaches(t, old)
			names(t, path, "", ".new", ".old")
		}
	})
}

// A successor that gave up can give back what is not its own any more.
func TestGiveAfterClose(t *testing.T) {
	_, old, successor := two(t, "unix")
	take(t, successor)
	if err := successor.CloseLast(); err != nil {
		t.Fatal(err)
	}
	if err := successor.Give("old"); err != nil {
		t.Fatal(err)
	}
	reaches(t, old)
}

func TestGiveToNobody(t *testing.T) {
	path, old, successor := two(t, "unix")
	take(t, successor)
	leaveStale(t, path+".dead")
	writeForeign(t, path+".file")
	if err := old.CloseLast(); err != nil {
		t.Fatal(err)
	}
	for own, want := range map[string]error{"old": fs.ErrNotExist, "dead": syscall.ECONNREFUSED, "file": nil, "a/b": nil} {
		err := successor.Give(own)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("give to %q: %v, want %v", own, err, want)
		}
	}
	reaches(t, successor)
	names(t, path, "", ".dead", ".file", ".new")
}

func TestTakeRefuses(t *testing.T) {
	path := unixTemp(t)
	l := openUnix(t, "unix", path, "a")
	writeForeign(t, path)
	if err := l.Take(); err == nil {
		t.Error("took the place of a file that is no socket")
	}
	if taken, err := l.Taken(); taken || err != nil {
		t.Errorf("taken: %t, %v", taken, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	untouched(t, path)
	if err := l.Take(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("take after close: %v, want net.ErrClosed", err)
	}
}

// A process may have died between link(2) and rename(2).
func TestTakeWithSpareName(t *testing.T) {
	path, old, successor := two(t, "unix")
	if err := os.Link(old.own, successor.spare()); err != nil {
		t.Fatal(err)
	}
	take(t, successor)
	reaches(t, successor)
	names(t, path, "", ".new", ".old")

	writeForeign(t, old.spare())
	if err := old.Take(); err == nil {
		t.Error("removed a file that is no socket")
	}
	untouched(t, old.spare())
	reaches(t, successor)
}

// Each removes its own names only.
func TestCloseRemovesOwnNames(t *testing.T) {
	path, old, successor := two(t, "unix")
	take(t, successor)
	if err := old.CloseLast(); err != nil {
		t.Fatal(err)
	}
	names(t, path, "", ".new")
	reaches(t, successor)

	// Whatever took the names since is not touched.
	for _, name := range []string{path, successor.own} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		writeForeign(t, name)
	}
	if err := successor.Close(); err != nil {
		t.Error(err)
	}
	untouched(t, path)
	untouched(t, successor.own)
}

// A successor that takes the path at the moment when it is removed keeps it.
func TestRemovePathOfAnother(t *testing.T) {
	path, old, successor := two(t, "unix")
	take(t, successor)
	if err := old.removePath(); err != nil {
		t.Fatal(err)
	}
	reaches(t, successor)
	names(t, path, "", ".new", ".old")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := old.removePath(); err != nil {
		t.Errorf("nothing to remove: %v", err)
	}
}
