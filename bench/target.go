package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A Target is a service of yours that is measured instead of the methods, in the
// scenarios that DefaultScenarios lists, and those at half of its own saturation:
// short-paced and keepalive-paced. Its commands are run by /bin/sh.
type Target struct {
	// Start is a shell command that serves in the foreground until it is sent
	// TERM, or that starts a daemon and ends.
	Start string
	// Restart is a shell command that replaces the running service.
	Restart string
	// Stop, if set, is a shell command that ends the service; otherwise
	// whatever Start left running is sent TERM.
	Stop string
	// Addr is HOST:PORT where it serves HTTP. It must answer GET on Path with
	// 200, and nothing may listen there before Start.
	Addr string
	Path string // empty means /
	// GenerationHeader is the name of a response header whose value is another
	// after each restart, such as a pid or a version. Without one, whoever
	// answers after Restart has ended counts as new.
	GenerationHeader string
}

// targetMethod is the name of the method in results.
const targetMethod = "target"

// targetSettle is how long after the first answer of the new generation a
// restart goes on: nobody tells when the old one is gone.
const targetSettle = 500 * time.Millisecond

func (t *Target) check() error {
	if t.Start == "" || t.Restart == "" {
		return errors.New("bench: a target needs a command that starts it and one that restarts it")
	}
	if _, _, err := net.SplitHostPort(t.Addr); err != nil {
		return fmt.Errorf("bench: address of the target: %w; write HOST:PORT", err)
	}
	if t.Path != "" && !strings.HasPrefix(t.Path, "/") {
		return fmt.Errorf("bench: path of the target: %q does not begin with /", t.Path)
	}
	return nil
}

func (t *Target) method() *method {
	return &method{
		name:      targetMethod,
		summary:   t.Start,
		program:   true,
		scenarios: append(DefaultScenarios(), "short-paced", "keepalive-paced"),
		start: func(ctx context.Context, f *fleet) (*process, error) {
			if conn, err := net.DialTimeout("tcp", t.Addr, time.Second); err == nil {
				conn.Close()
				return nil, fmt.Errorf("something listens on %s already; end it, or choose another address", t.Addr)
			}
			p, err := f.spawn("/bin/sh", "-c", t.Start)
			if err != nil {
				return nil, err
			}
			p.generation = f.target.generations.next()
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			go func() {
				if <-p.done(); p.failure != nil {
					cancel(fmt.Errorf("the command that starts it: %w", p.failure))
				}
			}()
			return p, f.answering(ctx, p.generation)
		},
		restart: func(ctx context.Context, f *fleet, old *process) (*process, error) {
			next := f.target.generations.next()
			f.adopt()
			if err := f.shell(ctx, t.Restart); err != nil {
				return nil, fmt.Errorf("restart the target: %w", err)
			}
			f.target.generations.restarted()
			old.leaves = func(ctx context.Context) error {
				wait(ctx, targetSettle, nil)
				return nil
			}
			p := &process{pid: old.pid, generation: next, os: old.os, exited: make(chan struct{})}
			return f.replaceMaster(p), nil
		},
		stop: func(ctx context.Context, f *fleet) error {
			if t.Stop != "" {
				return f.shell(ctx, t.Stop)
			}
			return nil
		},
	}
}

// adopt waits for what a restart left to us, so that a command which waits for
// the end of a process is not left with a zombie.
func (f *fleet) adopt() {
next:
	for _, stray := range strays() {
		for _, p := range f.processes {
			if p.pid == stray.pid {
				p.done()
				_ = stray.os.Release()
				continue next
			}
		}
		f.processes = append([]*process{stray}, f.processes...) // the last is the target itself
		stray.done()
	}
}

func (f *fleet) shell(ctx context.Context, command string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = f.stderr, f.stderr
	cmd.Env = driverEnv()
	return cmd.Run()
}

// generations number the answers of a target.
type generations struct {
	header string
	mu     sync.Mutex
	number map[string]int // by value of the header, in the order of appearance
	count  int            // of restarts, where there is no header
}

func newGenerations(header string) *generations {
	return &generations{header: header, number: map[string]int{}, count: 1}
}

// next is the number that an answer of a new generation would get.
func (g *generations) next() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.header == "" {
		if len(g.number) == 0 {
			g.number["started"] = 1
			return 1
		}
		return g.count + 1
	}
	return len(g.number) + 1
}

func (g *generations) restarted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
}

func (g *generations) of(h http.Header) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.header == "" {
		return g.count, nil
	}
	value := h.Get(g.header)
	if value == "" {
		return 0, fmt.Errorf("answer without the header %s", g.header)
	}
	if g.number[value] == 0 {
		g.number[value] = len(g.number) + 1
	}
	return g.number[value], nil
}
