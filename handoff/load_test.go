package handoff_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// loss is a request that got no whole answer.
type loss struct {
	began time.Time // when its connection was begun
	err   error
}

// load is clients that connect, send a request and read the answer, again and
// again, without ever repeating one. Half of them close each connection, half
// keep it and obey Connection: close.
type load struct {
	t     *testing.T
	addrs []string
	stop  chan struct{}
	wg    sync.WaitGroup

	mu     sync.Mutex
	served map[int]int // answers by generation
	losses []loss
}

const loadClients = 16

func startLoad(t *testing.T, addrs ...string) *load {
	return startClients(t, loadClients, patience, addrs...)
}

// startClients starts so many, for whom a datagram is lost that is not answered
// within wait.
func startClients(t *testing.T, clients int, wait time.Duration, addrs ...string) *load {
	l := &load{t: t, addrs: addrs, stop: make(chan struct{}), served: map[int]int{}}
	for i := range clients {
		addr := addrs[i/2%len(addrs)]
		l.wg.Go(func() {
			if network, address := endpoint(addr); network == "unixpacket" || strings.HasPrefix(network, "udp") {
				l.messages(network, address, wait)
			} else {
				l.client(network, address, i%2 == 0)
			}
		})
	}
	return l
}

func (l *load) client(network, address string, keep bool) {
	var conn net.Conn
	var r *bufio.Reader
	var began time.Time
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		generation, closing, err := 0, !keep, error(nil)
		if conn == nil {
			began = time.Now()
			if conn, err = net.DialTimeout(network, address, patience); err == nil {
				r = bufio.NewReader(conn)
			}
		}
		if err == nil {
			generation, closing, err = ask(conn, r, keep)
		}
		l.mu.Lock()
		if err != nil {
			l.losses = append(l.losses, loss{began, err})
		} else {
			l.served[generation]++
		}
		l.mu.Unlock()
		if conn != nil && (err != nil || closing) {
			conn.Close()
			conn = nil
		}
		if err != nil {
			l.rest()
		}
	}
}

// rest follows a loss: a dead service refuses fast, which is not to be counted a
// thousand times.
func (l *load) rest() {
	select {
	case <-time.After(time.Millisecond):
	case <-l.stop:
	}
}

// messages sends one after the other, each from a socket of its own, and waits
// for its answer.
func (l *load) messages(network, address string, wait time.Duration) {
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		began := time.Now()
		generation, err := exchange(network, address, i, wait)
		l.mu.Lock()
		if err != nil {
			l.losses = append(l.losses, loss{began, err})
		} else {
			l.served[generation]++
		}
		l.mu.Unlock()
		if err != nil {
			l.rest()
		}
	}
}

func exchange(network, address string, i int, wait time.Duration) (generation int, err error) {
	conn, err := net.Dial(network, address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if network := conn.LocalAddr().Network(); network == "udp" && conn.LocalAddr().String() == conn.RemoteAddr().String() {
		// Nobody had the service's port, so we could be given it, and would talk to
		// ourselves.
		return 0, &net.OpError{Op: "dial", Net: network, Addr: conn.RemoteAddr(), Err: syscall.ECONNREFUSED}
	}
	conn.SetDeadline(time.Now().Add(wait))
	if _, err := fmt.Fprintf(conn, "%d", i); err != nil {
		return 0, fmt.Errorf("message: %w", err)
	}
	b := make([]byte, 100)
	n, err := conn.Read(b)
	if err != nil {
		return 0, fmt.Errorf("message: %w", err)
	}
	var answer int
	if _, err := fmt.Sscan(string(b[:n]), &generation, &answer); err != nil || answer != i {
		return 0, fmt.Errorf("message %d was answered %q", i, b[:n])
	}
	return generation, nil
}

func ask(conn net.Conn, r *bufio.Reader, keep bool) (generation int, closing bool, err error) {
	conn.SetDeadline(time.Now().Add(patience))
	request := "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody"
	if !keep {
		request = "POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, true, fmt.Errorf("write: %w", err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, true, fmt.Errorf("first byte: %w", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, true, fmt.Errorf("body: %w", err)
	}
	if _, err := fmt.Sscan(string(body), &generation); err != nil {
		return 0, true, errors.New("unexpected body " + string(body))
	}
	return generation, resp.Close, nil
}

// servedBy waits until a generation has answered, so many times from now on.
func (l *load) servedBy(generation, times int) {
	l.t.Helper()
	l.mu.Lock()
	until := l.served[generation] + times
	l.mu.Unlock()
	eventually(l.t, fmt.Sprintf("generation %d answers", generation), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.served[generation] >= until
	})
}

func (l *load) lost() []loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]loss(nil), l.losses...)
}

// end stops the clients and returns the losses.
func (l *load) end() []loss {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
	return l.lost()
}

func (l *load) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, served := range l.served {
		n += served
	}
	return n
}

// endWithoutLoss fails the test if a request was lost, or none was made.
func (l *load) endWithoutLoss() {
	l.t.Helper()
	losses := l.end()
	if l.total() == 0 {
		l.t.Error("the load got no answer at all")
	}
	if len(losses) > 0 {
		l.t.Errorf("lost %d of %d requests: %s", len(losses), l.total()+len(losses), summary(losses))
	}
}

func summary(losses []loss) string {
	var b strings.Builder
	for i, x := range losses {
		if i == 5 {
			fmt.Fprint(&b, " …")
			break
		}
		fmt.Fprintf(&b, " [%s %v]", x.began.Format("05.000"), x.err)
	}
	return b.String()
}
