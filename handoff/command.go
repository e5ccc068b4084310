package handoff

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// successorCommand is how to start what replaces us, remembered from the
// start: the executable may be replaced since, and the directory changed.
type successorCommand struct {
	path string
	args []string
	dir  string
}

func newSuccessorCommand(command []string) (successorCommand, error) {
	dir, err := os.Getwd()
	if err != nil {
		return successorCommand{}, fmt.Errorf("handoff: working directory: %w", err)
	}
	c := successorCommand{args: os.Args, dir: dir}
	if len(command) > 0 {
		c.args = command
		c.path = command[0]
		if strings.Contains(c.path, "/") && !filepath.IsAbs(c.path) {
			c.path = filepath.Join(dir, c.path)
		}
		return c, nil
	}
	c.path, err = ownPath()
	return c, err
}

// ownPath is the path that this process was started by. A deployment often
// switches a symlink in it, which /proc/self/exe does not show; so the name on
// the command line counts, if it still leads to our executable.
func ownPath() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("handoff: own executable: %w", err)
	}
	named, err := exec.LookPath(os.Args[0])
	if err != nil {
		return exe, nil
	}
	if named, err = filepath.Abs(named); err != nil {
		return exe, nil
	}
	a, errA := os.Stat(named)
	b, errB := os.Stat(exe)
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		return exe, nil
	}
	return named, nil
}

func (c successorCommand) new() *exec.Cmd {
	cmd := exec.Command(c.path)
	cmd.Args = c.args
	cmd.Dir = c.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		// Ours: see watchdogInterval and planYield.
		return strings.HasPrefix(v, envWatchdogPID+"=") || strings.HasPrefix(v, envYield+"=")
	})
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}
