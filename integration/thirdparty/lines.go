package thirdparty

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/graceport/graceport/drain"
)

// Lines serves a protocol of one's own: a line is answered by a line. When
// draining begins, each connection is told "goodbye" instead, between two
// answers; the client sends again elsewhere what was not answered.
func Lines(conns *drain.Conns, ln net.Listener, answer func(line string) string) error {
	tracked := conns.ListenerWith(ln, drain.ListenerOptions{Name: "lines"})
	for {
		nc, err := tracked.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			c := &lineConn{Conn: nc}
			defer context.AfterFunc(conns.Context(), c.goodbye)()
			for r := bufio.NewScanner(nc); r.Scan(); {
				c.reply(answer, r.Text())
			}
		}()
	}
}

type lineConn struct {
	net.Conn
	mu    sync.Mutex // held while a line is answered, and to say goodbye
	ended bool
}

func (c *lineConn) reply(answer func(string) string, line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		fmt.Fprintln(c, answer(line))
	}
}

// goodbye does not close: if something arrived that was not read, the kernel
// would send a reset, which may overtake the goodbye. The client closes.
func (c *lineConn) goodbye() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	io.WriteString(c, "goodbye\n")
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		cw.CloseWrite()
	}
}
