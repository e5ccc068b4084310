package thirdparty

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/graceport/graceport/drain"
)

// turns is the time over which goodbyes are spread.
const turns = 50 * time.Millisecond

func serveWebSocket(g *generation, ln net.Listener) (end func()) {
	srv := &http.Server{Handler: WebSocket(func(message []byte) []byte {
		g.work()
		return message
	})}
	opts := drain.ListenerOptions{Policy: drain.Wait, Grace: turns}
	serving(func() error { return HTTP(g.conns, ln, srv, opts) })
	return func() { g.cut(); srv.Close() }
}

// webSocketClient sends again what was not answered before status 1012, and
// takes any other end for a loss.
func webSocketClient(l *load) {
	for n := 0; !l.stopped(); {
		c, _, err := websocket.Dial(context.Background(), "ws://"+l.addr, nil)
		if err != nil {
			l.lose(err)
			continue
		}
		for err == nil && !l.stopped() {
			if err = exchange(c, fmt.Sprint("message ", n)); err == nil {
				l.answered.Add(1)
				n++
			}
		}
		switch {
		case err == nil:
			c.Close(websocket.StatusNormalClosure, "")
		case websocket.CloseStatus(err) == websocket.StatusServiceRestart:
			l.away.Add(1)
		default:
			l.lose(err)
		}
		c.CloseNow()
	}
}

func exchange(c *websocket.Conn, message string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// A write fails when the server has closed; the next read tells why.
	sent := c.Write(ctx, websocket.MessageText, []byte(message))
	_, got, err := c.Read(ctx)
	switch {
	case err != nil:
		return err
	case sent != nil:
		return sent
	case string(got) != message:
		return fmt.Errorf("sent %q, got %q", message, got)
	}
	return nil
}
