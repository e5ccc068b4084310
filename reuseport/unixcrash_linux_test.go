package reuseport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// holdUnix takes a path and accepts nothing, until stdin ends or it is killed.
func holdUnix(path, own string) {
	l, err := ListenUnix(context.Background(), "unix", path, &UnixOptions{Own: own})
	if err == nil {
		err = l.Take()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	inodes, err := l.Inodes()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(inodes[0])
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// unixHolder starts a child that takes a path, and returns its process id, the
// inode of its socket and a function that kills it.
func unixHolder(t *testing.T, path, own string, flags uintptr) (pid int, inode uint64, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], path, own)
	cmd.Env = append(childEnv(), childRole+"=unix")
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if flags != 0 && os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if flags != 0 && (errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOSPC)) {
			t.Skipf("no network namespace for %s: %v", whoami(), err)
		}
		t.Fatal(err)
	}
	ended := false
	kill = func() {
		if ended {
			return
		}
		ended = true
		_ = cmd.Process.Kill()
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("child said nothing: %v", err)
	}
	if _, err := fmt.Sscan(line, &inode); err != nil {
		t.Fatalf("child said %q: %v", line, err)
	}
	return cmd.Process.Pid, inode, kill
}

// A process that is killed leaves both names. The next one replaces them,
// whether its own name is the same or not.
func TestUnixOwnerKilled(t *testing.T) {
	for _, own := range []string{"a", "b"} {
		path := unixTemp(t)
		pid, _, kill := unixHolder(t, path, "a", 0)
		if own == "a" {
			_, err := ListenUnix(t.Context(), "unix", path, &UnixOptions{Own: own})
			if !errors.Is(err, syscall.EADDRINUSE) {
				t.Fatalf("error is %v while the process lives, want EADDRINUSE", err)
			}
			mustContain(t, err.Error(), fmt.Sprintf("pid %d (", pid))
		}
		kill()
		names(t, path, "", ".a")
		if _, err := net.Dial("unix", path); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial: %v, want ECONNREFUSED", err)
		}
		l := openUnix(t, "unix", path, own)
		take(t, l)
		reaches(t, l)
	}
}

// A successor that dies after it took the path: the survivor takes it back,
// and its queue was kept.
func TestUnixSuccessorKilled(t *testing.T) {
	path := unixTemp(t)
	old := openUnix(t, "unix", path, "old")
	take(t, old)
	dialUnix(t, "unix", path)
	_, _, kill := unixHolder(t, path, "new", 0)
	if taken, err := old.Taken(); taken || err != nil {
		t.Fatalf("taken: %t, %v, after a successor took the path", taken, err)
	}
	kill()
	take(t, old)
	acceptUnix(t, old)
	reaches(t, old)
	if err := old.Give("new"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("give to the dead one: %v, want ECONNREFUSED", err)
	}
	reaches(t, old)
}

func TestListeningUnix(t *testing.T) {
	path := unixTemp(t)
	if there, err := ListeningUnix(t.Context(), path); len(there) > 0 || err != nil {
		t.Errorf("without a file: %+v, %v", there, err)
	}
	leaveStale(t, path)
	if there, err := ListeningUnix(t.Context(), path); len(there) > 0 || err != nil {
		t.Errorf("a stale file: %+v, %v", there, err)
	}
	pid, inode, kill := unixHolder(t, path, "a", 0)
	dialUnix(t, "unix", path)
	there, err := ListeningUnix(t.Context(), path)
	if err != nil || len(there) != 1 {
		t.Fatalf("%+v, %v, want one", there, err)
	}
	s := there[0]
	if s.Inode != inode || s.Name != path+".a" || int(s.UID) != os.Geteuid() || s.Queue.Len != 1 {
		t.Errorf("socket is %+v, want inode %d, one connection queued", s, inode)
	}
	if got, command, ok := s.Owner(); !ok || got != pid || command == "" {
		t.Errorf("owner is %d %q %t, want %d", got, command, ok, pid)
	}
	kill()
	if there, err := ListeningUnix(t.Context(), path); len(there) > 0 || err != nil {
		t.Errorf("after its death: %+v, %v", there, err)
	}
}

// A socket that sock_diag does not list is not taken for a stale file.
func TestListeningUnixOtherNamespace(t *testing.T) {
	path := unixTemp(t)
	_, _, kill := unixHolder(t, path, "a", syscall.CLONE_NEWNET)
	there, err := ListeningUnix(t.Context(), path)
	if err != nil || len(there) != 1 || there[0] != (UnixSocket{Name: path}) {
		t.Errorf("%+v, %v, want one without more than its name", there, err)
	}
	_, err = ListenUnix(t.Context(), "unix", path, &UnixOptions{Own: "a"})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error is %v, want EADDRINUSE", err)
	}
	kill()
	if there, err := ListeningUnix(t.Context(), path); err != nil || len(there) > 0 {
		t.Errorf("after its death: %+v, %v", there, err)
	}
}

func TestListeningUnixOthers(t *testing.T) {
	path := unixTemp(t)
	writeForeign(t, path)
	if _, err := ListeningUnix(t.Context(), path); err == nil {
		t.Error("no error for a file that is no socket")
	}
	if _, err := ListeningUnix(t.Context(), "@x"); err == nil {
		t.Error("no error for an abstract name")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	leaveStale(t, path+"2")
	if _, err := ListeningUnix(ctx, path+"2"); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want the one of ctx", err)
	}
	c, err := net.ListenPacket("unixgram", path+"3")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if there, err := ListeningUnix(t.Context(), path+"3"); err != nil || len(there) != 1 {
		t.Errorf("datagrams: %+v, %v, want one", there, err)
	}
}
