package bench

import (
	"bufio"
	"context"
	"io"
	"time"
)

type shortClient struct {
	addr    string
	timeout time.Duration
	request []byte
	reader  *bufio.Reader
}

var _ client = (*shortClient)(nil)

func newShortClient(addr string, timeout time.Duration) client {
	return &shortClient{
		addr:    addr,
		timeout: timeout,
		request: []byte("GET / HTTP/1.1\r\nHost: " + addr + "\r\nConnection: close\r\n\r\n"),
		reader:  bufio.NewReader(nil),
	}
}

func (c *shortClient) do(ctx context.Context) (int, *failure) {
	conn, f := connect(ctx, c.addr, c.timeout)
	if f != nil {
		return 0, f
	}
	defer conn.Close()
	c.reader.Reset(conn)
	generation, _, f := exchange(conn, c.reader, "GET", c.request)
	if f != nil {
		return 0, f
	}
	// The server closes first and keeps the TIME_WAIT, so that the client's
	// ports do not run out. The answer is whole; what ends the stream after
	// it is no loss.
	_, _ = io.Copy(io.Discard, c.reader)
	return generation, nil
}

func (c *shortClient) close() {}
