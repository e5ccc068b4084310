package bench

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// generationHeader carries the number of the generation that answered.
const generationHeader = "Graceport-Generation"

// connect dials without TCP keep-alive options: two system calls fewer, and
// no connection here lives long enough to need them.
func connect(ctx context.Context, t *target) (net.Conn, *failure) {
	d := net.Dialer{Deadline: time.Now().Add(t.timeout), KeepAlive: -1}
	conn, err := d.DialContext(ctx, cmp.Or(t.network, "tcp"), t.addr)
	if err != nil {
		return nil, fail(dialing, err)
	}
	if err := conn.SetDeadline(d.Deadline); err != nil {
		conn.Close()
		return nil, fail(dialing, err)
	}
	return conn, nil
}

// host is what requests name: a path is none.
func (t *target) host() string {
	if t.network == "unix" {
		return "localhost"
	}
	return t.addr
}

// exchange sends one request and reads its answer. It reports who answered
// and whether the server asked to close the connection.
func exchange(conn net.Conn, r *bufio.Reader, method string, request []byte, t *target) (generation int, closing bool, f *failure) {
	if _, err := conn.Write(request); err != nil {
		return 0, true, fail(writing, err)
	}
	if _, err := r.Peek(1); err != nil {
		return 0, true, fail(firstByte, err)
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		// A header that breaks off reads as malformed; the end of the stream
		// is the better reason.
		if r.Buffered() == 0 {
			if _, end := r.Peek(1); end != nil {
				err = end
			}
		}
		return 0, true, fail(answering, err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil {
		return 0, true, fail(answering, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusSwitchingProtocols {
		return 0, true, fail(answering, fmt.Errorf("status %s", resp.Status))
	}
	generation, err = t.generation(resp.Header)
	if err != nil {
		return 0, true, fail(answering, err)
	}
	return generation, resp.Close, nil
}

// generation tells who answered.
func (t *target) generation(h http.Header) (int, error) {
	if t.generations != nil {
		return t.generations.of(h)
	}
	generation, err := strconv.Atoi(h.Get(generationHeader))
	if err != nil {
		return 0, fmt.Errorf("answer without a generation: %w", err)
	}
	return generation, nil
}
