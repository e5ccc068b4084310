package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// datagramTimeout is short: nobody sends a lost datagram again, and while a
// client waits for one it makes no load.
const datagramTimeout = 300 * time.Millisecond

// A datagramClient sends a datagram from a socket of its own and waits for the
// answer, which is the generation's number.
type datagramClient struct {
	target *target
	conn   net.Conn
}

var _ client = (*datagramClient)(nil)

func newDatagramClient(t *target) client { return &datagramClient{target: t} }

func (c *datagramClient) do(context.Context) (int, *failure) {
	// A new port each time: the kernel's choice among sockets goes by it.
	c.close()
	conn, err := net.Dial("udp", c.target.addr)
	if err != nil {
		return 0, fail(dialing, err)
	}
	c.conn = conn
	if err := conn.SetDeadline(time.Now().Add(min(datagramTimeout, c.target.timeout))); err != nil {
		return 0, fail(dialing, err)
	}
	if _, err := conn.Write([]byte("who?")); err != nil {
		return 0, fail(writing, err)
	}
	var b [64]byte
	n, err := conn.Read(b[:])
	if err != nil {
		return 0, fail(firstByte, err)
	}
	generation, err := strconv.Atoi(string(b[:n]))
	if err != nil {
		return 0, fail(answering, fmt.Errorf("answer without a generation: %w", err))
	}
	return generation, nil
}

func (c *datagramClient) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// answerDatagrams tells everyone the generation, until conn is closed.
func (s *service) answerDatagrams(conn net.PacketConn) error {
	number := []byte(strconv.Itoa(s.generation))
	var b [2048]byte
	for {
		_, from, err := conn.ReadFrom(b[:])
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		_, _ = conn.WriteTo(number, from) // whoever asked may be gone
	}
}

// serveDatagrams serves UDP until a signal or the end of ctx.
func (s *service) serveDatagrams(ctx context.Context, control func(string, string, syscall.RawConn) error) error {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer cancel()
	lc := net.ListenConfig{Control: control}
	conn, err := lc.ListenPacket(ctx, "udp", s.addr)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	s.ready(conn.LocalAddr())
	return s.answerDatagrams(conn)
}
