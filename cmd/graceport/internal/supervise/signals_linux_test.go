package supervise

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestSignalNamed(t *testing.T) {
	for name, want := range map[string]os.Signal{
		"": syscall.SIGTERM, "QUIT": syscall.SIGQUIT, "SIGUSR2": syscall.SIGUSR2, "winch": syscall.SIGWINCH,
	} {
		if got, err := signalNamed(name, DefaultStop); got != want || err != nil {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"KILL", "CHLD", "9", "NONSENSE"} {
		if _, err := signalNamed(name, DefaultStop); err == nil || !strings.Contains(err.Error(), "HUP") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
