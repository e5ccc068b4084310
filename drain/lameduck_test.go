package drain_test

import (
	"net/http"
	"testing"

	"github.com/graceport/graceport/drain"
)

func TestRequestsWhileDraining(t *testing.T) {
	s := serve(t, drain.Config{}, http.HandlerFunc(echo))

	idle := dial(t, s.addr)
	idle.post(t, "/before", false)
	silent := dial(t, s.addr)
	half := dial(t, s.addr)
	half.Write([]byte("POST /half HTTP/1.1\r\n"))
	reports := s.begin(t)

	late := dial(t, s.addr) // Accept goes on
	for path, c := range map[string]*client{"/idle": idle, "/silent": silent, "/late": late} {
		if got := c.post(t, path, true); got != path {
			t.Errorf("body %q, want %q", got, path)
		}
	}
	half.Write([]byte("Host: x\r\nContent-Length: 0\r\n\r\n"))
	half.answered(t, true)

	r := <-reports
	if r.Err() != nil || r.Closed != (drain.Outcomes{Finished: 4}) {
		t.Errorf("report %+v", r)
	}
}
