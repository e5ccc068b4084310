package thirdparty

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/graceport/graceport/drain"
)

const generationHeader = "Generation"

// echo answers with the request's body after a moment.
func echo(g *generation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.served.Add(1)
		w.Header().Set(generationHeader, strconv.Itoa(g.Number()))
		io.Copy(w, r.Body)
		w.(http.Flusher).Flush() // the rest of the stream is in flight for longer
		<-time.After(time.Millisecond)
	})
}

func serveHTTP1(g *generation, ln net.Listener) (end func()) {
	srv := &http.Server{ErrorLog: quiet, Handler: echo(g)}
	serving(func() error { return HTTP(g.conns, ln, srv, drain.ListenerOptions{}) })
	return func() { shutdown(srv) }
}

// shutdown is what net/http offers.
func shutdown(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	srv.Shutdown(ctx)
	srv.Close()
}

func serveHTTP2Plain(g *generation, ln net.Listener) (end func()) {
	srv := &http.Server{ErrorLog: quiet, Handler: echo(g), Protocols: new(http.Protocols)}
	srv.Protocols.SetUnencryptedHTTP2(true)
	serving(func() error { return HTTP(g.conns, ln, srv, drain.ListenerOptions{}) })
	return func() { srv.Close() }
}

func serveHTTP2TLS(g *generation, ln net.Listener) (end func()) {
	srv := &http.Server{ErrorLog: quiet, Handler: echo(g)}
	serving(func() error { return HTTPS(g.conns, ln, srv, certificate()) })
	return func() { srv.Close() }
}

func http1Client(l *load) { l.posts("http://"+l.addr, new(http.Transport), 1) }

func http2PlainClient(l *load) {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	l.posts("http://"+l.addr, tr, streams)
}

func http2TLSClient(l *load) {
	roots := x509.NewCertPool()
	roots.AddCert(certificate().Leaf)
	tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: roots}}
	tr.Protocols.SetHTTP2(true)
	l.posts("https://"+l.addr, tr, streams)
}

// streams is how many requests share an HTTP/2 connection.
const streams = 8

// posts is a closed loop. POST is what a client may not repeat by itself unless
// the server says that it did not begin.
func (l *load) posts(url string, tr *http.Transport, parallel int) {
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: patience}
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for n := 0; !l.stopped(); n++ {
				if err := post(c, url, strconv.Itoa(n)); err != nil {
					l.lose(err)
				} else {
					l.answered.Add(1)
				}
			}
		})
	}
	wg.Wait()
}

func post(c *http.Client, url, body string) error {
	resp, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch b, err := io.ReadAll(resp.Body); {
	case err != nil:
		return err
	case string(b) != body:
		return fmt.Errorf("sent %q, got %q", body, b)
	case resp.StatusCode != http.StatusOK:
		return errors.New(resp.Status)
	}
	return nil
}

// certificate is the server's, for 127.0.0.1.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})
