package bench

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

type keepaliveClient struct {
	target  *target
	method  string
	request []byte
	conn    net.Conn // nil when the next request has to connect
	reader  *bufio.Reader
}

var _ client = (*keepaliveClient)(nil)

func newKeepaliveClient(t *target) client {
	if t.generations != nil {
		return &keepaliveClient{
			target:  t,
			method:  "GET",
			request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", cmp.Or(t.path, "/"), t.host()),
			reader:  bufio.NewReader(nil),
		}
	}
	body := strings.Repeat("graceport ", 10)
	return &keepaliveClient{
		target:  t,
		method:  "POST",
		request: fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", t.host(), len(body), body),
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
		conn, f := connect(ctx, c.target)
		if f != nil {
			return 0, f
		}
		c.conn = conn
		c.reader.Reset(conn)
	} else if err := c.conn.SetDeadline(time.Now().Add(c.target.timeout)); err != nil {
		c.close()
		return 0, fail(writing, err)
	}
	generation, closing, f := exchange(c.conn, c.reader, c.method, c.request, c.target)
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
