package handoff_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

const ticketKeys = "tls-ticket-keys"

// tlsGeneration serves TLS and says its number to each client. It takes the
// session-ticket keys that its predecessor offers, or makes its own.
func tlsGeneration(t *testing.T, dir, addr string, cert tls.Certificate, handOver bool) *handoff.Generation {
	t.Helper()
	var key [32]byte
	cfg := handoff.Config{Dir: dir}
	if handOver {
		cfg.State = func() map[string][]byte { return map[string][]byte{ticketKeys: key[:]} }
	}
	g, err := handoff.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	if copy(key[:], g.State()[ticketKeys]) == 0 {
		rand.Read(key[:])
	}
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	server.SetSessionTicketKeys([][32]byte{key})
	ln, err := g.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := tls.NewListener(ln, server).Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprint(conn, g.Number())
			}()
		}
	}()
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// selfSigned is a certificate for 127.0.0.1 and a pool that trusts it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// visit connects, and reads to the end: a TLS 1.3 ticket comes after the
// handshake.
func visit(t *testing.T, addr string, client *tls.Config) (generation string, resumed bool) {
	t.Helper()
	d := tls.Dialer{Config: client, NetDialer: &net.Dialer{Timeout: patience}}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), conn.(*tls.Conn).ConnectionState().DidResume
}

// A client resumes its TLS session across a restart if the session-ticket keys
// were handed over, and only then.
func TestTicketKeysHandedOver(t *testing.T) {
	cert, pool := selfSigned(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, handOver := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", tls.VersionName(version), handOver), func(t *testing.T) {
				dir := newService(t).Dir
				old := tlsGeneration(t, dir, "127.0.0.1:0", cert, handOver)
				addr := old.Status().Listeners[0].Address
				client := &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version,
					ClientSessionCache: tls.NewLRUClientSessionCache(1)}
				for i, want := range []bool{false, true} { // the client can resume at all
					if by, resumed := visit(t, addr, client); by != "1" || resumed != want {
						t.Fatalf("connection %d: generation %s, resumed %v", i, by, resumed)
					}
				}
				tlsGeneration(t, dir, addr, cert, handOver)
				awaitSuperseded(t, old)
				if by, resumed := visit(t, addr, client); by != "2" || resumed != handOver {
					t.Errorf("after the restart: generation %s, resumed %v, want %v", by, resumed, handOver)
				}
			})
		}
	}
}

func awaitSuperseded(t *testing.T, g *handoff.Generation) {
	t.Helper()
	select {
	case <-g.Superseded():
	case <-time.After(patience):
		t.Fatalf("generation %d was not superseded within %v", g.Number(), patience)
	}
	if err := g.Err(); err != nil {
		t.Error(err)
	}
}

// State is handed over up to 1 MiB, names and all. More is not, and nothing
// else comes of it.
func TestStateSize(t *testing.T) {
	const limit, name = 1 << 20, "blob"
	for _, size := range []int{len(name), limit, limit + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			blob := make([]byte, size-len(name))
			rand.Read(blob)
			dir := newService(t).Dir
			open := func(addr string) *handoff.Generation {
				g, err := handoff.Open(t.Context(), handoff.Config{Dir: dir, State: func() map[string][]byte {
					return map[string][]byte{name: blob}
				}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { g.Close() })
				ln, err := g.Listen(t.Context(), "tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				go ln.Accept() // nobody connects
				return g
			}
			old := open("127.0.0.1:0")
			if err := old.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			next := open(old.Status().Listeners[0].Address)
			got, there := next.State()[name]
			if want := size <= limit; there != want || there && !bytes.Equal(got, blob) {
				t.Errorf("of %d bytes of state %d came over (there: %v)", size, len(got), there)
			}
			if err := next.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			awaitSuperseded(t, old)
		})
	}
}
