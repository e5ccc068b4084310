package reuseport

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// owner looks for a process with a descriptor of a socket.
func owner(inode uint64) (pid int, command string, ok bool) {
	if inode == 0 {
		return 0, "", false
	}
	want := fmt.Sprintf("socket:[%d]", inode)
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err != nil || link != want {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
		return pid, strings.TrimSpace(string(comm)), true
	}
	return 0, "", false
}
