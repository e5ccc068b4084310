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
func dup(int) (int, error)                          { return -1, errOS }
func rights(descriptors) []byte                     { return nil }
func rightsSpace(int) int                           { return 0 }
func parseRights([]byte) (descriptors, error)       { return nil, errOS }
func truncated(int) bool                            { return false }
