package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/graceport/graceport/handoff/sdnotify"
	"github.com/graceport/graceport/reuseport"
)

// testServer names the file that says how the next copy of the server behaves.
const testServer = "SUPERVISE_TEST_SERVER"

// behaviour is that of a server which says READY=1 when it listens, and answers
// each connection with the number of the socket that it came to. USR1 makes it
// open three more sockets.
type behaviour struct {
	Address string
	Unready bool // does not say READY=1
	Orphan  bool // leaves the work to a child and ends with 3
	Hidden  bool // lets only those with CAP_SYS_PTRACE look into it
}

func serve() {
	exitAtEOF()
	b := nextBehaviour()
	if b.Orphan {
		leaveWorker()
	}
	if b.Hidden {
		must(unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	}
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	open := 0
	listen := func(n int) {
		for range n {
			l, err := reuseport.Listen(context.Background(), "tcp4", b.Address, nil)
			must(err)
			go answer(l, open)
			open++
		}
	}
	listen(1)
	if !b.Unready {
		manager, err := sdnotify.New()
		must(err)
		must(manager.Notify("READY=1"))
	}
	for sig := range signals {
		if sig == syscall.SIGTERM {
			os.Exit(0)
		}
		listen(3)
		fmt.Println("server has sockets", open)
	}
}

func nextBehaviour() (b behaviour) {
	text, err := os.ReadFile(os.Getenv(testServer))
	must(err)
	must(json.Unmarshal(text, &b))
	return b
}

func answer(l net.Listener, number int) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte{byte(number)})
		_ = c.Close()
	}
}

// leaveWorker ends as soon as a worker listens.
func leaveWorker() {
	worker := exec.Command(os.Args[0])
	worker.Env = append(os.Environ(), testRole+"=worker")
	worker.Stdin = os.Stdin
	out, err := worker.StdoutPipe()
	must(err)
	must(worker.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	must(err)
	os.Exit(3)
}

func serveAsWorker() {
	signal.Ignore(syscall.SIGTERM)
	l, err := reuseport.Listen(context.Background(), "tcp4", nextBehaviour().Address, nil)
	must(err)
	go answer(l, 0)
	fmt.Println("worker listens")
	exitAtEOF()
	select {}
}

// must ends a role that cannot be played.
func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(96)
	}
}

// server is a running server's supervisor.
type server struct {
	*played
	address string
	file    string
}

// playServer runs a server that is ready when it says so.
func playServer(t *testing.T, b behaviour, o Options) *server {
	t.Helper()
	// On an address of its own, no client's port is in the way of its bind.
	ln, err := net.Listen("tcp4", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: ln.Addr().String(), file: filepath.Join(t.TempDir(), "behaviour")}
	ln.Close()
	s.behave(t, b)
	t.Setenv(testServer, s.file)
	o.Listen, o.Ready = []string{s.address}, "notify"
	s.played = playUnder(t, "", "server", o)
	return s
}

// behave says what copies from now on do.
func (s *server) behave(t *testing.T, b behaviour) {
	t.Helper()
	b.Address = s.address
	text, err := json.Marshal(b)
	if err == nil {
		err = os.WriteFile(s.file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// pid is says for a line that ends with one.
func (s *server) pid(parts ...string) int {
	s.t.Helper()
	pid, err := strconv.Atoi(strings.TrimPrefix(s.says(parts...), "pid="))
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

// answers counts which sockets answer, of so many connections.
func (s *server) answers(connections int) map[byte]int {
	s.t.Helper()
	count := map[byte]int{}
	for range connections {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			s.t.Fatal(err)
		}
		var number [1]byte
		_, err = io.ReadFull(c, number[:])
		c.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		count[number[0]]++
	}
	return count
}
