package drain_test

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// HTTP/1 over TLS: an idle connection beyond grace ends with close_notify, not
// truncated, and states are seen through TLS.
func TestTLSIdle(t *testing.T) {
	s := &service{
		Conns: drain.New(drain.Config{IdleGrace: 50 * time.Millisecond}),
		srv:   &http.Server{Handler: http.HandlerFunc(echo)},
	}
	connect := serve2(t, false, s)
	nc := connect().(*tls.Conn).NetConn() // without ALPN, so not HTTP/2
	used := newClient(tls.Client(nc, &tls.Config{InsecureSkipVerify: true}))
	used.post(t, "/", false)
	wait(func() bool { return s.Snapshot().Open == drain.States{Idle: 1} })
	reports := s.begin(t)
	used.closed(t) // the end without close_notify is io.ErrUnexpectedEOF
	if r := <-reports; r.Err() != nil || r.Closed != (drain.Outcomes{Idle: 1}) {
		t.Errorf("report %+v", r)
	}
}
