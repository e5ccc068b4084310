package bench

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"time"
)

// A tlsClient is a shortClient over TLS. Every other request tries to resume
// the session of the one before.
type tlsClient struct {
	target  *target
	request []byte
	reader  *bufio.Reader
	resume  *tls.Config
	full    *tls.Config
	n       int
	session int // generation that issued the ticket at hand
}

var _ client = (*tlsClient)(nil)

func newTLSClient(t *target) client {
	c := &tlsClient{target: t, request: shortRequest(t), reader: bufio.NewReader(nil), full: t.tls, resume: t.tls.Clone()}
	c.resume.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return c
}

func (c *tlsClient) do(ctx context.Context) (int, *failure) {
	plain, f := connect(ctx, c.target)
	if f != nil {
		return 0, f
	}
	defer plain.Close()
	config := c.full
	if c.n++; c.n%2 == 0 {
		config = c.resume
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return 0, fail(handshaking, err)
	}
	c.reader.Reset(conn)
	generation, _, f := exchange(conn, c.reader, "GET", c.request, c.target)
	if f != nil {
		return 0, f
	}
	if config == c.resume {
		if c.session != 0 && c.session != generation && c.target.handshake != nil {
			c.target.handshake(conn.ConnectionState().DidResume)
		}
		c.session = generation
	}
	_, _ = io.Copy(io.Discard, c.reader)
	return generation, nil
}

func (c *tlsClient) close() {}

const certificateName = "bench.example"

// clientTLS trusts the certificate in file.
func clientTLS(file string) (*tls.Config, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("bench: no certificate in %s", file)
	}
	return &tls.Config{RootCAs: roots, ServerName: certificateName, MinVersion: tls.VersionTLS13}, nil
}

// writeCertificate writes a self-signed certificate and its key.
func writeCertificate(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		DNSNames:     []string{certificateName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	out = append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	return os.WriteFile(file, out, 0o600)
}
