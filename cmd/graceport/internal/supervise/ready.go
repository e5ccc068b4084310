package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// check is what -ready asks for.
type check struct {
	kind string // empty, tcp, http, exec or notify
	arg  string
	port uint16 // of tcp and http, on which the program listens for the check
}

func parseCheck(text string) (check, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch {
	case text == "":
		return check{}, nil
	case text == "notify":
		return check{kind: "notify"}, nil
	case kind == "exec" && strings.TrimSpace(rest) != "":
		return check{kind: "exec", arg: rest}, nil
	case kind == "tcp":
		a, err := parseAddress(rest)
		return check{kind: "tcp", arg: rest, port: a.port}, err
	case kind == "http":
		u, err := url.Parse(text)
		if err != nil {
			return check{}, err
		}
		host := u.Host
		if u.Port() == "" {
			host = net.JoinHostPort(u.Hostname(), "80")
		}
		a, err := parseAddress(host)
		return check{kind: "http", arg: text, port: a.port}, err
	}
	return check{}, fmt.Errorf("%q: want tcp:HOST:PORT, http://HOST:PORT/PATH, exec:COMMAND or notify", text)
}

// Each attempt ends in time, and the next one waits a little.
const (
	attemptTimeout = 5 * time.Second
	attemptPause   = 100 * time.Millisecond
)

// attempt tries a check over the network once.
func (c check) attempt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	switch c.kind {
	case "tcp":
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.arg)
		if err != nil {
			return err
		}
		return conn.Close()
	case "http":
		return get(ctx, c.arg)
	}
	return errors.New("no check over the network")
}

// get wants a 2xx from the address itself, on a connection of its own: a
// kept one could belong to the old copy.
func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}
