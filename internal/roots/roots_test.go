package roots

import (
	"crypto/x509"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The authorities are needless only if neither the server nor a source of credentials is used over TLS.
func TestNeedless(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	require.True(t, needless("grpc://localhost:2136/local", none))
	require.True(t, needless("unix:///run/tenure/socket", none))
	for _, address := range []string{"grpcs://localhost:2136/local", "GRPCS://localhost:2136/local", "embedded", ""} {
		require.False(t, needless(address, none), address)
	}
	for _, set := range Credentials {
		require.False(t, needless("grpc://localhost:2136/local", func(name string) (string, bool) {
			return "", name == set
		}), set)
	}
}

// After Skip, the process has no authorities, and the environment is what it was.
func TestSkip(t *testing.T) {
	for _, name := range Credentials {
		if value, ok := os.LookupEnv(name); ok {
			t.Setenv(name, value) // to restore it
			require.NoError(t, os.Unsetenv(name))
		}
	}
	t.Setenv("SSL_CERT_FILE", "/a/file")
	before := os.Environ()
	Skip("grpc://localhost:2136/local")
	require.Equal(t, before, os.Environ())
	require.NoError(t, os.Unsetenv("SSL_CERT_FILE"))
	pool, err := x509.SystemCertPool()
	require.NoError(t, err)
	require.True(t, pool.Equal(x509.NewCertPool()))
}
