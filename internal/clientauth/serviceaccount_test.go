package clientauth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-yc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"tenure/internal/certs/certtest"
)

// The signed token of a service account goes only to a server whose certificate is valid.
func TestServiceAccount_ChecksCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := certtest.New(t).Issue(t).WriteFiles(t, dir, "server")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	asked := make(chan string, 10)
	srv := grpc.NewServer(
		grpc.Creds(credentials.NewServerTLSFromCert(&pair)),
		grpc.UnknownServiceHandler(func(_ any, call grpc.ServerStream) error {
			method, _ := grpc.Method(call.Context())
			asked <- method

			return nil
		}),
	)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(srv.Stop)

	key := serviceKey(t)
	file := filepath.Join(dir, "key.json")
	require.NoError(t, os.WriteFile(file, []byte(key), 0o600))
	for name, value := range map[string]string{accountKeyVariable: key, accountFileVariable: file} {
		lookup := func(n string) (string, bool) { return value, n == name }
		account, err := serviceAccount(lookup, yc.WithEndpoint(l.Addr().String()))
		require.NoError(t, err)
		_, err = account.Token(t.Context())
		require.ErrorContains(t, err, "certificate", name)
		require.Empty(t, asked, name)
	}
	account, err := serviceAccount(func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	require.Nil(t, account)
}

// serviceKey returns a new key of a service account.
func serviceKey(t *testing.T) string {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	text, err := json.Marshal(map[string]string{
		"id": "key", "service_account_id": "account",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	require.NoError(t, err)

	return string(text)
}
