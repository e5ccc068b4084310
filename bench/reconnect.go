package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// upgradePath answers with an upgraded connection that stays.
const upgradePath = "/upgrade"

// reconnectWindow is the time over which handoff spreads the end of upgraded
// connections.
const reconnectWindow = time.Second

// A holdingClient makes no request while the last one's connection stands.
type holdingClient interface {
	client
	// hold returns when the server has closed the connection, or ctx ends.
	hold(ctx context.Context)
}

// A reconnectClient has its connection upgraded and, when that ends, comes
// back at once.
type reconnectClient struct {
	target  *target
	request []byte
	conn    net.Conn
	reader  *bufio.Reader
}

var _ holdingClient = (*reconnectClient)(nil)

func newReconnectClient(t *target) client {
	return &reconnectClient{
		target: t,
		request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: bench\r\n\r\n",
			upgradePath, t.host()),
		reader: bufio.NewReader(nil),
	}
}

func (c *reconnectClient) do(ctx context.Context) (int, *failure) {
	conn, f := connect(ctx, c.target)
	if f != nil {
		return 0, f
	}
	c.conn = conn
	c.reader.Reset(conn)
	generation, _, f := exchange(conn, c.reader, "GET", c.request, c.target)
	if f != nil {
		c.close()
	}
	return generation, f
}

func (c *reconnectClient) hold(ctx context.Context) {
	if c.conn == nil {
		return
	}
	if conn := c.conn; conn.SetDeadline(time.Time{}) == nil {
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		_, _ = io.Copy(io.Discard, c.reader) // how it ends is the server's choice
		stop()
	}
	c.close()
}

func (c *reconnectClient) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// upgrade keeps the connection until one side closes it.
func upgrade(w http.ResponseWriter) {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "bench")
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if conn.SetDeadline(time.Time{}) == nil {
		_, _ = io.Copy(io.Discard, rest)
	}
}
