//go:build !linux

package bench

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
)

// The bench adopts orphans, opens pidfds and makes namespaces; none of this
// has a counterpart that would leave the measurement the same.
var errNotLinux = fmt.Errorf("bench: runs on Linux only: %w", errors.ErrUnsupported)

// sigUSR2 never arrives: Serve has failed before.
const sigUSR2 = syscall.Signal(12)

func adoptOrphans() (release func(), err error) { return nil, errNotLinux }
func serverAttributes() *syscall.SysProcAttr    { return nil }
func exitWithDriver() error                     { return errNotLinux }
func children() map[int]string                  { return nil }
func killStrays() []int                         { return nil }
func openDescriptors() int                      { return 0 }
func loopbackUp() error                         { return errNotLinux }
func closedByPeer(net.Conn) bool                { return false }

func inNewNamespace(func(*syscall.SysProcAttr) error) error { return errNotLinux }

func setReuseport(_, _ string, _ syscall.RawConn) error { return errNotLinux }

func thisMachine() Machine {
	return Machine{Kernel: runtime.GOOS, CPUs: runtime.NumCPU(), Model: runtime.GOARCH, Go: runtime.Version()}
}
