package supervise

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestOptionsSayWhatIsWrong(t *testing.T) {
	command := []string{"true"}
	listen := []string{":8080"}
	for _, x := range []struct {
		o    Options
		want string // empty if it is right
	}{
		{Options{Command: command}, ""},
		{Options{Command: command, Listen: []string{"localhost:80", "[::1]:443", ":1"}}, ""},
		{Options{Command: command, Listen: listen, Ready: "http://localhost:8081/ready"}, ""},
		{Options{Command: command, Listen: listen, Ready: "notify", Stop: "QUIT", Restart: "SIGUSR2"}, ""},
		{Options{}, "no command"},
		{Options{Command: command, Stop: "QUIT"}, "need -listen"},
		{Options{Command: command, Listen: []string{"8080"}}, "want HOST:PORT"},
		{Options{Command: command, Listen: []string{":http"}}, "want a number"},
		{Options{Command: command, Listen: []string{":0"}}, "want a number"},
		{Options{Command: command, Listen: listen, Ready: "http://localhost:8080/"}, "leads to the old copy"},
		{Options{Command: command, Listen: listen, Ready: "tcp::8080"}, "leads to the old copy"},
		{Options{Command: command, Listen: listen, Ready: "https://localhost/"}, "want tcp:"},
		{Options{Command: command, Listen: listen, Ready: "exec: "}, "want tcp:"},
		{Options{Command: command, Listen: listen, ReadyTimeout: -1}, "negative"},
	} {
		err := x.o.Check()
		if x.want == "" && err != nil {
			t.Errorf("%+v: %v", x.o, err)
		}
		if x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%+v: %v, want %q", x.o, err, x.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	s, err := (&Options{Command: []string{"true"}}).settings()
	if err != nil {
		t.Fatal(err)
	}
	if s.ReadyTimeout != time.Minute || s.EmptyTimeout != 10*time.Second || s.CloseTimeout != 30*time.Second || s.Log == nil {
		t.Errorf("%+v", s)
	}
}

func TestChecksOverTheNetwork(t *testing.T) {
	status := http.StatusNoContent
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		w.WriteHeader(status)
	}))
	defer srv.Close()
	attempt := func(text string) error {
		t.Helper()
		c, err := parseCheck(text)
		if err != nil {
			t.Fatal(err)
		}
		return c.attempt(context.Background())
	}
	address := srv.Listener.Addr().String()
	for _, good := range []string{srv.URL + "/", "tcp:" + address} {
		if err := attempt(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if err := attempt(srv.URL + "/moved"); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("a redirect is no 2xx: %v", err)
	}
	status = http.StatusServiceUnavailable
	if err := attempt(srv.URL + "/"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("503: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	ln.Close()
	for _, bad := range []string{"tcp:" + closed, "http://" + closed + "/"} {
		if err := attempt(bad); err == nil {
			t.Errorf("%s: nobody listens there", bad)
		}
	}
}
