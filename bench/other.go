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

// These never arrive: Serve has failed before.
const (
	sigUSR1  = syscall.Signal(10)
	sigUSR2  = syscall.Signal(12)
	sigWINCH = syscall.Signal(28)
)

func adoptOrphans() (release func(), err error) { return nil, errNotLinux }
func serverAttributes() *syscall.SysProcAttr    { return nil }
func exitWithDriver() error                     { return errNotLinux }
func children() map[int]string                  { return nil }
func childrenOf(int) map[int]string             { return nil }
func strays() []*process                        { return nil }
func openDescriptors() int                      { return 0 }
func loopbackUp() error                         { return errNotLinux }
func closedByPeer(net.Conn) bool                { return false }
func shutListener(uintptr)                      {}
func prepareWire() error                        { return errNotLinux }

func inNewNamespace(func(*syscall.SysProcAttr) error) error { return errNotLinux }

func setReuseport(_, _ string, _ syscall.RawConn) error { return errNotLinux }

func thisMachine() Machine {
	return Machine{Kernel: runtime.GOOS, CPUs: runtime.NumCPU(), Model: runtime.GOARCH, Go: runtime.Version()}
}
