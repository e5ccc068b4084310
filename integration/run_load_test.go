package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// load is clients in a closed loop, one request a connection, that never
// retry.
type load struct {
	address string
	quit    chan struct{}
	group   sync.WaitGroup

	mu     sync.Mutex
	served int
	lost   map[string]int // by what the client saw
	late   int            // served after more than the second that a SYN's first retransmission takes
}

func startLoad(address string, clients int) *load {
	l := &load{address: address, quit: make(chan struct{}), lost: map[string]int{}}
	for range clients {
		l.group.Go(func() {
			for {
				select {
				case <-l.quit:
					return
				default:
				}
				began := time.Now()
				err := request(address)
				l.count(err, time.Since(began))
			}
		})
	}
	return l
}

func (l *load) count(err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.served++
		if took > time.Second {
			l.late++
		}
		return
	}
	l.lost[sawAs(err)]++
}

// sum is how many were served and lost so far.
func (l *load) sum() (served, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.lost {
		lost += n
	}
	return l.served, lost
}

func (l *load) stop() {
	close(l.quit)
	l.group.Wait()
}

// pass waits until n more were served.
func (l *load) pass(t *testing.T, n int) {
	t.Helper()
	before, _ := l.sum()
	eventually(t, fmt.Sprintf("%d more requests are served", n), func() bool {
		now, _ := l.sum()
		return now >= before+n
	})
}

func sawAs(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "eof"
	}
	return err.Error()
}

func request(address string) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The answer is whole when we close: the reset spares the port a TIME_WAIT.
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	if _, err := r.Peek(1); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// freeAddresses finds ports on a loopback address of the test's own, where no
// client's port is in the way of a server's bind.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	var out []string
	for range n {
		ln, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		out = append(out, ln.Addr().String())
	}
	return out
}
