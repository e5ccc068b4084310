package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

type keepaliveClient struct {
	addr    string
	timeout time.Duration
	request []byte
	conn    net.Conn // nil when the next request has to connect
	reader  *bufio.Reader
}

var _ client = (*keepaliveClient)(nil)

func newKeepaliveClient(addr string, timeout time.Duration) client {
	body := strings.Repeat("graceport ", 10)
	return &keepaliveClient{
		addr:    addr,
		timeout: timeout,
		request: fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body),
		reader:  bufio.NewReader(nil),
	}
}

func (c *keepaliveClient) do(ctx context.Context) (int, *failure) {
	// As any decent client does: a connection that was closed while idle is
	// not used again. Only what closes after this look can cost a request.
	if c.conn != nil && closedByPeer(c.conn) {
		c.close()
	}
	if c.conn == nil {
		conn, f := connect(ctx, c.addr, c.timeout)
		if f != nil {
			return 0, f
		}
		c.conn = conn
		c.reader.Reset(conn)
	} else if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		c.close()
		return 0, fail(writing, err)
	}
	generation, closing, f := exchange(c.conn, c.reader, "POST", c.request)
	if f != nil || closing {
		c.close()
	}
	return generation, f
}

func (c *keepaliveClient) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
