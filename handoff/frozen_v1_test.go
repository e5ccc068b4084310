package handoff_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
	"github.com/graceport/graceport/reuseport"
)

// FROZEN. This file is protocol version 1
// written a second time: its JSON, its HTTP, its directory, its order of steps.
// It stands for a binary that was released and still runs somewhere. Never
// change it to follow the code: when it no longer works with the code, the code
// has broken the protocol, and needs a new version of it.

type frozenMessage struct {
	Type       string            `json:"type"`
	Protocol   int               `json:"protocol,omitempty"`
	Protocols  []int             `json:"protocols,omitempty"`
	PID        int               `json:"pid,omitempty"`
	Version    string            `json:"version,omitempty"`
	Generation int               `json:"generation,omitempty"`
	Listeners  []frozenListener  `json:"listeners,omitempty"`
	State      map[string][]byte `json:"state,omitempty"`
	Plan       []frozenShare     `json:"plan,omitempty"`
	Probation  string            `json:"probation,omitempty"`
	Share      int               `json:"share,omitempty"`
	Left       int               `json:"left,omitempty"`
	Reason     string            `json:"reason,omitempty"`
}

type frozenListener struct {
	Name    string   `json:"name"`
	Network string   `json:"network"`
	Address string   `json:"address"`
	Inodes  []uint64 `json:"inodes"`
}

type frozenShare struct {
	Share int    `json:"share"`
	Hold  string `json:"hold,omitempty"`
}

type frozenStatus struct {
	Generation int    `json:"generation"`
	PID        int    `json:"pid"`
	State      string `json:"state"`
	Leader     bool   `json:"leader"`
}

// frozenTalk is a takeover conversation.
type frozenTalk struct {
	conn net.Conn
	r    *bufio.Reader
}

func (c *frozenTalk) tell(m frozenMessage) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = c.conn.Write(append(b, '\n'))
	return err
}

func (c *frozenTalk) hear() (m frozenMessage, err error) {
	line, err := c.r.ReadBytes('\n')
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(line, &m)
}

// await skips messages of other types, as one must those that are unknown.
func (c *frozenTalk) await(types ...string) (frozenMessage, error) {
	for {
		m, err := c.hear()
		switch {
		case err != nil:
			return m, fmt.Errorf("waiting for %q: %w", types, err)
		case slices.Contains(types, m.Type):
			return m, nil
		case m.Type == "refused":
			return m, errors.New("refused: " + m.Reason)
		}
	}
}

// hold tells that we live until the time is over.
func (c *frozenTalk) hold(share int, d time.Duration) error {
	const heartbeat = 20 * time.Millisecond
	for end := time.Now().Add(d); ; <-time.After(heartbeat) {
		if err := c.tell(frozenMessage{Type: "alive", Share: share}); err != nil {
			return err
		}
		if _, err := c.await("alive"); err != nil {
			return err
		}
		if time.Now().After(end) {
			return nil
		}
	}
}

// frozenHead reads the first line and the headers, in lower case, of a request
// or an answer.
func frozenHead(r *bufio.Reader) (first string, header map[string]string, err error) {
	header = map[string]string{}
	for n := 0; ; n++ {
		line, err := r.ReadString('\n')
		if err != nil {
			return first, header, err
		}
		line = strings.TrimRight(line, "\r\n")
		switch key, value, _ := strings.Cut(line, ":"); {
		case n == 0:
			first = line
		case line == "":
			return first, header, nil
		default:
			header[strings.ToLower(key)] = strings.ToLower(strings.TrimSpace(value))
		}
	}
}

func frozenAnswer(w io.Writer, status string, body any) {
	b, _ := json.Marshal(body)
	fmt.Fprintf(w, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, len(b), b)
}

type frozenGroup struct {
	*reuseport.Listener
	name, network string
	below         int // the predecessor's sockets in the group
}

// steer gives the group to our range, which begins where the predecessor's
// ends, or a share of it.
func (l *frozenGroup) steer(share int) error {
	sel := reuseport.Selection{To: reuseport.Range{First: l.below, Count: l.Open()}}
	if share > 0 {
		sel.Share, sel.Rest = share, reuseport.Range{Count: l.below}
	}
	return l.Steer(sel)
}

type frozenGeneration struct {
	dir     string
	number  int
	lock    *os.File
	control *net.UnixListener
	groups  []*frozenGroup
	conns   *drain.Conns
	srv     *http.Server
	ended   context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	hosted  chan error // how each takeover by a successor ended

	mu      sync.Mutex
	state   string
	refusal frozenMessage // if it has a type, the answer to hello
	welcome frozenMessage // what else welcome says
}

func (f *frozenGeneration) path(name string) string { return filepath.Join(f.dir, name) }

func (f *frozenGeneration) enter(state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = state
}

// frozenOpen takes the lock and a number, and answers on its socket.
func frozenOpen(t *testing.T, dir string) *frozenGeneration {
	t.Helper()
	f := &frozenGeneration{dir: dir, state: "joining", hosted: make(chan error, 10), srv: &http.Server{},
		conns: drain.New(drain.Config{Timeout: patience, IdleGrace: patience / 2})}
	f.ended, f.end = context.WithCancel(context.Background())
	var err error
	if f.lock, err = os.OpenFile(f.path("lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lock is free", func() bool {
		return syscall.Flock(int(f.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	})
	var pid int
	fmt.Fscan(f.lock, &pid, &f.number)
	sockets, _ := filepath.Glob(f.path("gen-*.sock"))
	leader, _ := os.Readlink(f.path("leader"))
	for _, name := range append(sockets, leader) {
		var n int
		fmt.Sscanf(filepath.Base(name), "gen-%d.sock", &n)
		f.number = max(f.number, n)
	}
	f.number++
	f.lock.Truncate(0)
	f.lock.WriteAt(fmt.Appendf(nil, "%d %d\n", os.Getpid(), f.number), 0)
	if f.control, err = net.ListenUnix("unix", &net.UnixAddr{Name: f.path(f.name()), Net: "unix"}); err != nil {
		t.Fatal(err)
	}
	f.control.SetUnlinkOnClose(false)
	os.Chmod(f.path(f.name()), 0o600)
	f.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, f.number, os.Getpid())
	})
	f.conns.Server(f.srv)
	f.running.Go(func() {
		for {
			conn, err := f.control.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() { f.answer(conn) })
		}
	})
	t.Cleanup(f.close)
	return f
}

// frozenFirst leads alone.
func frozenFirst(t *testing.T, dir string, addresses, sockets int) *frozenGeneration {
	t.Helper()
	f := frozenOpen(t, dir)
	for i := range addresses {
		name := "tcp 127.0.0.1:0"
		if i > 0 {
			name += fmt.Sprintf("#%d", i+1)
		}
		if err := f.listen(frozenListener{Name: name, Network: "tcp", Address: "127.0.0.1:0"}, sockets); err != nil {
			t.Fatal(err)
		}
	}
	f.serve()
	if err := f.lead(); err != nil {
		t.Fatal(err)
	}
	f.lock.Close()
	f.enter("leading")
	return f
}

func (f *frozenGeneration) name() string { return fmt.Sprintf("gen-%d.sock", f.number) }

// leave is the end of a process: its socket is gone.
func (f *frozenGeneration) leave() {
	f.control.Close()
	os.Remove(f.path(f.name()))
}

func (f *frozenGeneration) close() {
	f.end()
	f.leave()
	f.srv.Close()
	for _, l := range f.groups {
		l.Close()
	}
	f.lock.Close()
	f.running.Wait()
}

// listen binds where the predecessor does, after its sockets.
func (f *frozenGeneration) listen(theirs frozenListener, sockets int) error {
	ln, err := reuseport.Listen(f.ended, theirs.Network, theirs.Address, &reuseport.Options{Sockets: sockets})
	if err != nil {
		return err
	}
	l := &frozenGroup{Listener: ln, name: theirs.Name, network: theirs.Network, below: len(theirs.Inodes)}
	f.groups = append(f.groups, l)
	group, err := ln.Group(f.ended)
	if err == nil && len(group) != l.below+ln.Open() {
		err = fmt.Errorf("%d sockets in the group of %s, want %d of theirs and %d of ours", len(group), theirs.Address, l.below, ln.Open())
	}
	return err
}

func (f *frozenGeneration) serve() {
	for _, l := range f.groups {
		f.running.Go(func() { f.srv.Serve(f.conns.Listener(l)) })
	}
}

func (f *frozenGeneration) listeners() []frozenListener {
	var all []frozenListener
	for _, l := range f.groups {
		inodes, _ := l.Inodes()
		all = append(all, frozenListener{Name: l.name, Network: l.network, Address: l.Addr().String(), Inodes: inodes})
	}
	return all
}

func (f *frozenGeneration) addrs() []string {
	var all []string
	for _, l := range f.groups {
		all = append(all, l.Addr().String())
	}
	return all
}

func (f *frozenGeneration) steer(share int) error {
	for _, l := range f.groups {
		if err := l.steer(share); err != nil {
			return err
		}
	}
	return nil
}

// lead steers everything to us and moves the leader link, in this order.
func (f *frozenGeneration) lead() error {
	if err := f.steer(0); err != nil {
		return err
	}
	temp := f.path(fmt.Sprintf("leader.%d", f.number))
	if err := os.Symlink(f.name(), temp); err != nil {
		return err
	}
	return os.Rename(temp, f.path("leader"))
}

// takeOver is the successor's side.
func (f *frozenGeneration) takeOver(sockets int, plan []frozenShare, probation string) error {
	leader, err := os.Readlink(f.path("leader"))
	if err != nil {
		return err
	}
	conn, err := net.Dial("unix", f.path(leader))
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	c := &frozenTalk{conn, bufio.NewReader(conn)}
	io.WriteString(conn, "POST /v1/takeover HTTP/1.1\r\nHost: graceport\r\nConnection: Upgrade\r\nUpgrade: graceport/1\r\n\r\n")
	first, header, err := frozenHead(c.r)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(first, "HTTP/1.1 101 ") || header["upgrade"] != "graceport/1" || header["connection"] != "upgrade" {
		return fmt.Errorf("the answer to the request is %q %v", first, header)
	}
	if err := c.tell(frozenMessage{Type: "hello", Protocol: 1, PID: os.Getpid(), Version: "frozen", Generation: f.number}); err != nil {
		return err
	}
	welcome, err := c.await("welcome")
	if err != nil {
		return err
	}
	if welcome.Protocol != 1 || fmt.Sprintf("gen-%d.sock", welcome.Generation) != leader || welcome.PID == 0 || len(welcome.Listeners) == 0 {
		return fmt.Errorf("welcome: %+v", welcome)
	}
	for _, theirs := range welcome.Listeners {
		if err := f.listen(theirs, sockets); err != nil {
			return err
		}
	}
	if err := c.tell(frozenMessage{Type: "bound", Listeners: f.listeners()}); err != nil {
		return err
	}
	f.serve()
	for _, step := range plan {
		// The predecessor hears of a share before it takes effect.
		if err := c.hold(step.Share, 0); err != nil {
			return err
		}
		if err := f.steer(step.Share); err != nil {
			return err
		}
		d, err := time.ParseDuration(step.Hold)
		if err != nil {
			return err
		}
		if err := c.hold(step.Share, d); err != nil {
			return err
		}
	}
	if err := f.lead(); err != nil {
		return err
	}
	if err := c.tell(frozenMessage{Type: "leading", Probation: probation}); err != nil {
		return err
	}
	if probation != "" {
		d, err := time.ParseDuration(probation)
		if err != nil {
			return err
		}
		if err := c.hold(0, d); err != nil {
			return err
		}
	}
	for retired := false; !retired; {
		if err := c.tell(frozenMessage{Type: "retire"}); err != nil {
			return err
		}
		closed, err := c.await("closed", "retired")
		if err != nil {
			return err
		}
		retired = closed.Type == "retired"
		if closed.Left > 0 {
			return fmt.Errorf("%d connections were left behind", closed.Left)
		}
		if err := f.follow(closed.Listeners, retired); err != nil {
			return err
		}
	}
	f.enter("leading")
	f.lock.Close()
	_, err = c.await("drained")
	return err
}

// follow steers to where our sockets are now that the predecessor closed some.
func (f *frozenGeneration) follow(theirs []frozenListener, all bool) error {
	for _, l := range f.groups {
		i := slices.IndexFunc(theirs, func(x frozenListener) bool { return x.Address == l.Addr().String() })
		if i < 0 && !all {
			return fmt.Errorf("%v is missing in %+v", l.Addr(), theirs)
		}
		left := 0
		if i >= 0 {
			left = len(theirs[i].Inodes)
		}
		if all && left > 0 {
			return fmt.Errorf("retired with sockets left: %+v", theirs)
		}
		l.Moved(l.below - left)
		l.below = left
	}
	return f.steer(0)
}

// answer is the control socket's side of one connection.
func (f *frozenGeneration) answer(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(f.ended, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	request, header, err := frozenHead(r)
	if err != nil {
		return
	}
	f.mu.Lock()
	state := f.state
	joins := request == "POST /v1/takeover HTTP/1.1" && header["upgrade"] == "graceport/1"
	if joins && state == "leading" {
		f.state = "hosting"
	}
	f.mu.Unlock()
	switch {
	case joins && state == "leading":
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: graceport/1\r\n\r\n")
		err := f.host(&frozenTalk{conn, r})
		if err != nil && f.ended.Err() == nil { // it leads again
			err = errors.Join(err, f.lead())
			f.enter("leading")
		}
		f.hosted <- err
	case joins:
		frozenAnswer(conn, "409 Conflict", map[string]string{"error": "this generation does not lead", "state": state})
	case strings.HasPrefix(request, "GET /v1/status "):
		leader, _ := os.Readlink(f.path("leader"))
		frozenAnswer(conn, "200 OK", frozenStatus{f.number, os.Getpid(), state, leader == f.name()})
	default:
		frozenAnswer(conn, "404 Not Found", map[string]string{"error": "no such thing", "state": state})
	}
}

// host is the predecessor's side. An error is why it serves on.
func (f *frozenGeneration) host(c *frozenTalk) error {
	hello, err := c.hear()
	if err != nil {
		return err
	}
	f.mu.Lock()
	refusal, welcome := f.refusal, f.welcome
	f.mu.Unlock()
	if refusal.Type != "" {
		return errors.Join(errors.New("refused it"), c.tell(refusal))
	}
	if hello.Type != "hello" || hello.Protocol != 1 || hello.PID == 0 || hello.Generation <= f.number {
		return fmt.Errorf("hello: %+v", hello)
	}
	welcome.Type, welcome.Protocol, welcome.PID, welcome.Generation = "welcome", 1, os.Getpid(), f.number
	welcome.Version, welcome.Listeners = "frozen", f.listeners()
	if err := c.tell(welcome); err != nil {
		return err
	}
	bound, shared, leading := 0, false, false
	for {
		m, err := c.hear()
		if err != nil {
			return err
		}
		switch m.Type {
		case "bound":
			bound = len(m.Listeners)
		case "alive":
			shared = shared || m.Share > 0
			err = c.tell(frozenMessage{Type: "alive"})
		case "leading":
			leading = true
			f.enter("starved")
		case "gave-up":
			return errors.New("it gave up: " + m.Reason)
		case "retire":
			if bound != len(f.groups) || !leading || shared != (len(welcome.Plan) > 0) {
				return fmt.Errorf("retire after bound %d, shared %v, leading %v", bound, shared, leading)
			}
			f.enter("retiring")
			var open int
			if open, err = f.retire(c); err == nil && open == 0 {
				return f.drain(c)
			}
		}
		if err != nil {
			return err
		}
	}
}

// retire closes the last socket of each listener that has the most, and tells.
func (f *frozenGeneration) retire(c *frozenTalk) (open int, err error) {
	most := 0
	for _, l := range f.groups {
		most = max(most, l.Open())
	}
	ctx, cancel := context.WithTimeout(f.ended, patience)
	defer cancel()
	m := frozenMessage{Type: "closed"}
	for _, l := range f.groups {
		if l.Open() < most {
			continue
		}
		left, err := l.Empty(ctx, l.Open()-1)
		if err != nil {
			return 0, fmt.Errorf("%+v left: %w", left, err)
		}
		if err := l.CloseLast(); err != nil {
			return 0, err
		}
	}
	if most == 1 {
		m.Type = "retired"
		f.enter("draining")
	}
	m.Listeners = f.listeners()
	return most - 1, c.tell(m)
}

func (f *frozenGeneration) drain(c *frozenTalk) error {
	for _, l := range f.groups {
		if err := l.Delivered(f.ended); err != nil {
			return err
		}
	}
	err := f.conns.Drain(f.ended).Err()
	f.enter("ended")
	f.leave()
	return errors.Join(err, c.tell(frozenMessage{Type: "drained"}))
}
