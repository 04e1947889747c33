// Package certtest makes certificates for tests.
package certtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An Authority signs certificates.
type Authority struct {
	PEM []byte // its certificate

	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// A Pair is a certificate and its key.
type Pair struct {
	Cert, Key []byte // in PEM form
}

// Now is the date at which certificates are made. They are valid for an hour before and after it.
var Now = time.Now()

// New returns a new authority.
func New(tb testing.TB) *Authority {
	tb.Helper()
	template := template("test authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	key := newKey(tb)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(tb, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(tb, err)

	return &Authority{PEM: encode("CERTIFICATE", der), cert: cert, key: key}
}

// Issue returns a certificate for localhost and 127.0.0.1, which servers and clients can use, as changed by change.
func (a *Authority) Issue(tb testing.TB, change ...func(*x509.Certificate)) Pair {
	tb.Helper()
	template := template("test")
	template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	for _, c := range change {
		c(template)
	}
	key := newKey(tb)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(tb, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(tb, err)

	return Pair{Cert: encode("CERTIFICATE", der), Key: encode("PRIVATE KEY", private)}
}

// Certificate returns the certificate of the authority.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Pool returns a pool with the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)

	return pool
}

// WriteFile writes the certificate of the authority into a file of dir, and returns its path.
func (a *Authority) WriteFile(tb testing.TB, dir, name string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	Replace(tb, path, a.PEM)

	return path
}

// TLS returns the pair for a tls.Config.
func (p Pair) TLS(tb testing.TB) tls.Certificate {
	tb.Helper()
	cert, err := tls.X509KeyPair(p.Cert, p.Key)
	require.NoError(tb, err)

	return cert
}

// WriteFiles writes the pair into two files of dir, and returns their paths. The key is for its owner alone.
func (p Pair) WriteFiles(tb testing.TB, dir, name string) (cert, key string) {
	tb.Helper()
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	Replace(tb, cert, p.Cert)
	Replace(tb, key, p.Key)

	return cert, key
}

// Replace puts a new file with the mode 0600 at the path, as tools that renew certificates do.
func Replace(tb testing.TB, path string, text []byte) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(path+".new", text, 0o600))
	require.NoError(tb, os.Rename(path+".new", path))
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))

	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: serial,
		NotBefore: Now.Add(-time.Hour), NotAfter: Now.Add(time.Hour),
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)

	return key
}

func encode(kind string, der []byte) []byte {
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}) // a buffer does not fail

	return b.Bytes()
}
