//go:build !linux

package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"time"
)

var errOS = fmt.Errorf("handoff: not on %s: %w", runtime.GOOS, errors.ErrUnsupported)

type credentials struct{ pid, uid int }

func peerCredentials(net.Conn) (credentials, error) { return credentials{}, errOS }
func awaitExit(int, time.Duration) bool             { return true }
func ownerOf(fs.FileInfo) int                       { return os.Geteuid() }
func tryLock(*os.File) (bool, error)                { return false, errOS }
