package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff/sdnotify"
)

const (
	testRole    = "SUPERVISE_TEST_ROLE"    // makes the test binary play another process
	testOptions = "SUPERVISE_TEST_OPTIONS" // those of Run, as JSON
)

func TestMain(m *testing.M) {
	switch os.Getenv(testRole) {
	case "":
		os.Exit(m.Run())
	case "run":
		var o Options
		err := json.Unmarshal([]byte(os.Getenv(testOptions)), &o)
		status := 0
		if err == nil {
			os.Setenv(testRole, os.Args[1])
			o.Command, o.Log = []string{os.Args[0]}, stdoutLog()
			status, err = Run(context.Background(), &o)
		}
		exitWith(status, err)
	case "late check":
		exitWith(checkAfterTheEnd())
	case "server":
		serve()
	case "worker":
		serveAsWorker()
	case "listener":
		tellSignals()
	case "generations":
		handOver()
	case "parent":
		leaveChild()
	}
	fmt.Println("unknown role")
	os.Exit(98)
}

func stdoutLog() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stdout, nil)) }

func exitWith(status int, err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(99)
	}
	os.Exit(status)
}

const patience = 30 * time.Second

// played is Run in a process of its own, and what it and its command print.
type played struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string
	unread []string
	ended  chan struct{}
}

// play runs a role under Run. The command's stdin stays open until the test
// ends, so that nothing outlives that.
func play(t *testing.T, role string) *played { return playUnder(t, "", role, Options{}) }

// playUnder is play with a manager's socket and options.
func playUnder(t *testing.T, manager, role string, o Options) *played {
	t.Helper()
	options, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], role)
	cmd.Env = append(os.Environ(), testRole+"=run", testOptions+"="+string(options), sdnotify.EnvSocket+"="+manager)
	return playCommand(t, cmd)
}

// playRole plays a role without Run.
func playRole(t *testing.T, role string) *played {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), testRole+"="+role)
	return playCommand(t, cmd)
}

func playCommand(t *testing.T, cmd *exec.Cmd) *played {
	t.Helper()
	p := &played{t: t, cmd: cmd, lines: make(chan string, 1000), ended: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Env, "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = t.Output()
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.lines <- lines.Text()
		}
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		stdin.Close()
		select {
		case <-p.ended:
		case <-time.After(patience):
			t.Errorf("it did not end within %v after its command's stdin", patience)
			p.cmd.Process.Kill()
			<-p.ended
		}
	})
	return p
}

// says waits for a line with all the parts, each line once and in whatever
// order several processes print them, and returns its last word.
func (p *played) says(parts ...string) string {
	p.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		for i, line := range p.unread {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				p.unread = slices.Delete(p.unread, i, i+1)
				words := strings.Fields(line)
				return words[len(words)-1]
			}
		}
		select {
		case line := <-p.lines:
			p.t.Log(line)
			p.unread = append(p.unread, line)
		case <-timeout.C:
			p.t.Fatalf("not said within %v: %q", patience, parts)
		}
	}
}

// number is says for a line that ends with a number.
func (p *played) number(parts ...string) int {
	p.t.Helper()
	n, err := strconv.Atoi(p.says(parts...))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func (p *played) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

func (p *played) wantStatus(want int) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("it did not end within %v", patience)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.t.Errorf("exit status %d, want %d", got, want)
	}
}

// exitAtEOF ends a role when the test is over.
func exitAtEOF() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(97)
	}()
}
