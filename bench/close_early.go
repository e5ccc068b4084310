package bench

import (
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// An earlyClose breaks handoff on purpose: when the successor is about to take
// over, it has the predecessor shut its listening socket, whatever waits in
// it. A bench that shows no loss then shows nothing. A nil one does nothing.
type earlyClose struct {
	file   string // with the pid of who serves
	socket syscall.RawConn
}

func (s *service) newEarlyClose() *earlyClose {
	if !s.closeEarly {
		return nil
	}
	return &earlyClose{file: filepath.Join(s.dir, "serves.pid")}
}

// config gets hold of the socket.
func (e *earlyClose) config() *net.ListenConfig {
	if e == nil {
		return nil
	}
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		e.socket = c
		return nil
	}}
}

// predecessor tells it to close its socket.
func (e *earlyClose) predecessor() {
	if e == nil {
		return
	}
	b, err := os.ReadFile(e.file)
	if err != nil {
		return // there is none
	}
	if pid, err := strconv.Atoi(string(b)); err == nil {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Signal(sigUSR1)
		}
	}
	// It takes the file away when it has.
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(e.file); err != nil {
			return
		}
	}
}

// armed closes the socket when told to. The server's Accept then fails, which
// is no reason to end before the drain: it returns served without that.
func (e *earlyClose) armed(served chan error) chan error {
	if e == nil {
		return served
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, sigUSR1)
	_ = os.WriteFile(e.file, []byte(strconv.Itoa(os.Getpid())), 0o600)
	go func() {
		<-told
		_ = e.socket.Control(shutListener)
		_ = os.Remove(e.file)
	}()
	return nil
}
