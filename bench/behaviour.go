package bench

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// What a scenario wants of the servers is in its table, and, for a process
// that is to fail, in a file of the directory that they share: the driver
// writes it before a restart, so that neither the first generation nor one
// that comes to the rescue fails too.

// A slowListener takes its time after each connection.
type slowListener struct {
	net.Listener
	delay time.Duration
}

func (l slowListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		time.Sleep(l.delay)
	}
	return conn, err
}

func (s *service) slow(ln net.Listener) net.Listener {
	if s.scenario.acceptDelay == 0 {
		return ln
	}
	return slowListener{ln, s.scenario.acceptDelay}
}

// warmUp takes the time that a successor needs before it can serve, which may
// be for ever.
func (s *service) warmUp() {
	if s.generation > 1 {
		time.Sleep(s.scenario.warmup)
	}
	told := filepath.Join(s.dir, string(hangs))
	if b, err := os.ReadFile(told); s.scenario.failing == hangs && err == nil && len(b) == 0 {
		// For the driver, which did not start every process itself.
		_ = os.WriteFile(told, []byte(strconv.Itoa(os.Getpid())), 0o600)
		for {
			time.Sleep(time.Hour)
		}
	}
}

// crashIfTold ends the process without a trace if it is the first that could
// take the file away.
func (s *service) crashIfTold() {
	if s.scenario.failing == crashes && os.Remove(filepath.Join(s.dir, string(crashes))) == nil {
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Kill()
		}
		for {
			time.Sleep(time.Hour)
		}
	}
}

func certificateFile(dir string) string { return filepath.Join(dir, "certificate.pem") }
