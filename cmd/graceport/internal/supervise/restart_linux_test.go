package supervise

import (
	"context"
	"crypto/rand"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graceport/graceport/handoff/sdnotify"
)

// What a new copy's master leaves behind when it ends is in nobody's way, at
// the next restart or at the end.
func TestMasterEndsBeforeItIsReady(t *testing.T) {
	s := playServer(t, behaviour{}, Options{})
	s.says("msg=serving")
	s.behave(t, behaviour{Orphan: true})
	s.signal(syscall.SIGHUP)
	s.says("level=ERROR", "ended with status 3 before it was ready")
	s.behave(t, behaviour{})
	s.signal(syscall.SIGHUP)
	s.says("msg=restarted")
	s.signal(syscall.SIGTERM)
	s.wantStatus(0)
}

func TestNewCopyLeavesNoOrphanAtTheEnd(t *testing.T) {
	s := playServer(t, behaviour{}, Options{})
	s.says("msg=serving")
	s.behave(t, behaviour{Orphan: true})
	s.signal(syscall.SIGHUP)
	s.says("level=ERROR", "ended with status 3 before it was ready")
	s.signal(syscall.SIGTERM)
	s.wantStatus(0)
}

// checkAfterTheEnd is a supervisor whose check begins when the program, its
// only child, has ended and been reaped. Both have the same status, since
// either may be the last main process: there is no address.
func checkAfterTheEnd() (status int, err error) {
	set, err := (&Options{Command: []string{"cat"}, Log: stdoutLog()}).settings()
	if err != nil {
		return 0, err
	}
	set.check = check{kind: "exec", arg: "kill -9 $$"}
	s := &supervisor{settings: set, family: family{known: map[int]*process{}}, env: os.Environ(), leads: make(chan *process)}
	socket, err := sdnotify.Listen("@supervise-test/" + rand.Text())
	if err != nil {
		return 0, err
	}
	defer socket.Close()
	program := func() *process {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range s.known {
			return p
		}
		return nil
	}
	ctx := context.Background()
	s.begin(ctx, func(ctx context.Context) error {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		p := program()
		for ; p == nil; p = program() {
			<-tick.C
		}
		if err := p.Kill(); err != nil {
			return err
		}
		<-p.exited
		return s.execute(ctx, p)
	})
	return s.loop(ctx, socket)
}

// A check that begins as the last process ends is reaped, and what it found is
// told.
func TestCheckAfterTheEnd(t *testing.T) {
	p := playRole(t, "late check")
	p.says("level=ERROR", "exit status 137")
	p.wantStatus(128 + 9)
}

// A copy that leads because the old one ended has restarted nothing until it is
// ready.
func TestUnreadyCopyLeadsAlone(t *testing.T) {
	s := playServer(t, behaviour{}, Options{ReadyTimeout: 3 * time.Second})
	old := s.pid("msg=started")
	s.says("msg=serving")
	s.behave(t, behaviour{Unready: true})
	s.signal(syscall.SIGHUP)
	s.says("new copy started")
	kill(t, old, syscall.SIGKILL)
	s.says("level=WARN", "stopped listening by itself")
	s.says("level=ERROR", "leads, but not ready within 3s: it has not sent READY=1")
	if slices.ContainsFunc(s.unread, func(line string) bool { return strings.Contains(line, "msg=restarted") }) {
		t.Error("it says that it has restarted")
	}
	s.answers(1)
	s.behave(t, behaviour{})
	s.signal(syscall.SIGHUP)
	s.says("msg=restarted")
	s.signal(syscall.SIGTERM)
	s.wantStatus(0)
}

// Sockets that the program opens after a restart receive as the others do,
// whether it succeeded or not.
func TestLateSocketsReceive(t *testing.T) {
	for name, x := range map[string]struct {
		next behaviour
		end  []string
	}{
		"restarted":      {behaviour{}, []string{"msg=restarted"}},
		"restart failed": {behaviour{Orphan: true}, []string{"level=ERROR", "ended with status 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := playServer(t, behaviour{}, Options{})
			s.says("msg=serving")
			s.behave(t, x.next)
			s.signal(syscall.SIGHUP)
			s.says(x.end...)
			s.signal(syscall.SIGUSR1)
			s.says("server has sockets 4")
			if count := s.answers(200); len(count) != 4 {
				t.Errorf("of 4 sockets answer %v", count)
			}
			s.behave(t, behaviour{})
			s.signal(syscall.SIGHUP)
			s.says("msg=restarted")
			if count := s.answers(20); len(count) != 1 {
				t.Errorf("of 1 socket answer %v", count)
			}
			s.signal(syscall.SIGTERM)
			s.wantStatus(0)
		})
	}
}

// A program that may not be looked into is told from one that does not listen.
func TestUnseenSockets(t *testing.T) {
	// Root needs no privilege that it did not inherit to look into the program.
	// The thread, of which the supervisor inherits, ends with this goroutine.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_PTRACE, 0, 0, 0); err != nil && os.Geteuid() == 0 {
		t.Skipf("no supervisor without CAP_SYS_PTRACE: %v", os.NewSyscallError("prctl PR_CAPBSET_DROP", err))
	}
	s := playServer(t, behaviour{Hidden: true}, Options{ReadyTimeout: 3 * time.Second})
	s.says("level=ERROR", "first copy", "its sockets cannot be seen", "CAP_SYS_PTRACE")
	s.signal(syscall.SIGHUP)
	s.says("level=ERROR", "restart", "its sockets cannot be seen", "CAP_SYS_PTRACE")
	s.answers(1)
	s.signal(syscall.SIGTERM)
	s.wantStatus(0)
}
