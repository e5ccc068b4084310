package thirdparty

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/graceport/graceport/drain"
)

// WebSocket returns a handler that answers messages. When draining begins, and
// it is the connection's turn, it closes with status 1012, service restart,
// between two messages: one that the client sent and that was not answered by
// then has not been given to answer, so the client may send it again elsewhere.
// Its listener has the policy drain.Wait; the default closes connections before
// the deadline, whether or not they have said goodbye.
func WebSocket(answer func(message []byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer c.CloseNow()
		s := &socket{Conn: c}
		ctx, cancel := drain.Turn(r.Context())
		defer cancel()
		defer context.AfterFunc(ctx, func() { s.restart(context.Cause(ctx)) })()
		for s.next(r.Context(), answer) == nil {
		}
	})
}

type socket struct {
	*websocket.Conn
	mu    sync.Mutex // held while a message is answered, and to say goodbye
	ended bool
}

// next answers a message. Its context must not be that of draining: the
// connection of a Read that is cancelled is closed without a goodbye.
func (s *socket) next(ctx context.Context, answer func([]byte) []byte) error {
	kind, message, err := s.Read(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return net.ErrClosed
	}
	return s.Write(ctx, kind, answer(message))
}

// restart says goodbye. Close gives the client five seconds to say so too.
func (s *socket) restart(why error) {
	if !errors.Is(why, drain.ErrDraining) {
		return // the connection ended by itself
	}
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.Close(websocket.StatusServiceRestart, "service restart")
}
