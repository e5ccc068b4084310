package supervise

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a service may want. The others are ours
// (CHLD), the runtime's (URG, PIPE), or cannot be caught.
var forwarded = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGWINCH, unix.SIGALRM, unix.SIGCONT, unix.SIGPWR,
}

// signalNamed accepts QUIT and SIGQUIT.
func signalNamed(name, otherwise string) (os.Signal, error) {
	name = "SIG" + strings.TrimPrefix(strings.ToUpper(cmp.Or(name, otherwise)), "SIG")
	sig := unix.SignalNum(name)
	for _, f := range forwarded {
		if f == sig {
			return sig, nil
		}
	}
	return nil, fmt.Errorf("signal %q, want one of %s", name, signalNames())
}

func signalNames() string {
	var names []string
	for _, f := range forwarded {
		names = append(names, strings.TrimPrefix(unix.SignalName(f.(unix.Signal)), "SIG"))
	}
	return strings.Join(names, ", ")
}
