package drain_test

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graceport/graceport/drain"
)

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, p := servePipes(t, drain.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/slow":
				<-release
			case "/hijack":
				nc, _, _ := http.NewResponseController(w).Hijack()
				<-release
				nc.Close()
			}
		}))
		clients := []*client{p.dial()}
		for i := range 7 {
			c := p.dial()
			clients = append(clients, c)
			c.send("GET", "/slow")
			if i == 0 {
				time.Sleep(time.Second)
			}
			time.Sleep(time.Second)
		}
		hijacked, idle := p.dial(), p.dial()
		hijacked.send("GET", "/hijack")
		idle.post(t, "/", false)
		synctest.Wait()

		got := s.Snapshot()
		if got.Open != (drain.States{New: 1, Active: 7, Idle: 1, Hijacked: 1}) || got.Accepted != 10 || got.Draining {
			t.Errorf("%+v", got)
		}
		var ages []float64
		for _, c := range got.Slowest {
			ages = append(ages, c.Seconds)
		}
		if want := []float64{8, 6, 5, 4, 3}; !reflect.DeepEqual(ages, want) {
			t.Errorf("slowest %v, want %v", ages, want)
		}

		reports := s.begin(t)
		got = s.Snapshot()
		if !got.Draining || got.Deadline.Sub(got.Started) != drain.DefaultTimeout || !got.Ended.IsZero() {
			t.Errorf("while draining: %+v", got)
		}
		close(release)
		for _, c := range append(clients, hijacked, idle) {
			go io.Copy(io.Discard, c)
		}
		r := <-reports
		got = s.Snapshot()
		if got.Draining || got.Ended.IsZero() || got.Closed != r.Closed || got.Open != (drain.States{}) {
			t.Errorf("after: %+v, report %+v", got, r)
		}
	})
}

// The control socket carries both as JSON.
func TestJSON(t *testing.T) {
	r := &drain.Report{Seconds: 1.5, Left: []drain.ConnInfo{{State: "active", Seconds: 2}}, TimedOut: true}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"started":"0001-01-01T00:00:00Z","deadline":"0001-01-01T00:00:00Z","seconds":1.5,"open":0,` +
		`"accepted":0,"closed":{"finished":0,"idle":0,"cut":0,"forced":0},"timed_out":true,` +
		`"left":[{"remote":"","accepted":"0001-01-01T00:00:00Z","state":"active","age_seconds":2,` +
		`"bytes_in":0,"bytes_out":0,"idle_seconds":0}]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	back := new(drain.Report)
	if err := json.Unmarshal(b, back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("back %+v, %v", back, err)
	}

	b, err = json.Marshal(drain.New(drain.Config{}).Snapshot())
	want = `{"open":{"new":0,"active":0,"idle":0,"hijacked":0},"accepted":0,` +
		`"closed":{"finished":0,"idle":0,"cut":0,"forced":0},"draining":false}`
	if err != nil || string(b) != want {
		t.Errorf("got  %s, %v\nwant %s", b, err, want)
	}
}
