package thirdparty

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

func serveLines(g *generation, ln net.Listener) (end func()) {
	serving(func() error {
		return Lines(g.conns, ln, func(line string) string {
			g.work()
			return line
		})
	})
	return func() { ln.Close(); g.cut() }
}

// linesClient sends again what was not answered before a goodbye.
func linesClient(l *load) {
	for n := 0; !l.stopped(); {
		conn, err := net.DialTimeout("tcp", l.addr, patience)
		if err != nil {
			l.lose(err)
			continue
		}
		r := bufio.NewReader(conn)
		for err == nil && !l.stopped() {
			if err = askLine(conn, r, fmt.Sprint("line ", n)); err == nil {
				l.answered.Add(1)
				n++
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, errGoodbye):
			l.away.Add(1)
		default:
			l.lose(err)
		}
		conn.Close()
	}
}

var errGoodbye = errors.New("goodbye")

func askLine(conn net.Conn, r *bufio.Reader, line string) error {
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return err
	}
	switch got, err := r.ReadString('\n'); {
	case err != nil:
		return err
	case got == "goodbye\n":
		return errGoodbye
	case got != line+"\n":
		return fmt.Errorf("sent %q, got %q", line, strings.TrimSpace(got))
	}
	return nil
}
