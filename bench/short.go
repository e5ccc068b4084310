package bench

import (
	"bufio"
	"cmp"
	"context"
	"io"
)

type shortClient struct {
	target  *target
	request []byte
	reader  *bufio.Reader
}

var _ client = (*shortClient)(nil)

func newShortClient(t *target) client {
	return &shortClient{
		target:  t,
		request: shortRequest(t),
		reader:  bufio.NewReader(nil),
	}
}

func shortRequest(t *target) []byte {
	return []byte("GET " + cmp.Or(t.path, "/") + " HTTP/1.1\r\nHost: " + t.host() + "\r\nConnection: close\r\n\r\n")
}

func (c *shortClient) do(ctx context.Context) (int, *failure) {
	conn, f := connect(ctx, c.target)
	if f != nil {
		return 0, f
	}
	defer conn.Close()
	c.reader.Reset(conn)
	generation, _, f := exchange(conn, c.reader, "GET", c.request, c.target)
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
