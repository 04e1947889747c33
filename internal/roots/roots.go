// Package roots keeps a process from reading the certificate authorities of the system if it does not need them.
//
// The driver of ydb-go-sdk reads them when it is opened, also for connections without TLS. That takes tens of
// milliseconds and several megabytes, which a command that runs for a moment feels.
package roots

import (
	"crypto/x509"
	"os"
	"strings"
	"sync"
)

// Credentials are the variables from which the driver takes credentials and certificates, except
// YDB_STATIC_CREDENTIALS_PASSWORD, which may be empty.
var Credentials = []string{
	"YDB_ACCESS_TOKEN_CREDENTIALS",
	"YDB_ANONYMOUS_CREDENTIALS",
	"YDB_METADATA_CREDENTIALS",
	"YDB_OAUTH2_KEY_FILE",
	"YDB_SERVICE_ACCOUNT_KEY_CREDENTIALS",
	"YDB_SERVICE_ACCOUNT_KEY_FILE_CREDENTIALS",
	"YDB_SSL_ROOT_CERTIFICATES_FILE",
	"YDB_STATIC_CREDENTIALS_ENDPOINT",
	"YDB_STATIC_CREDENTIALS_USER",
}

// Skip makes the system's certificate authorities count as empty for the rest of the process, if the server at the
// address is used without TLS and without credentials, which may come from a service with TLS. The process must not use
// TLS for anything else, and must not start another process at the same time: the first call changes the environment
// for a moment.
func Skip(address string) {
	if needless(address, os.LookupEnv) {
		skip()
	}
}

var skip = sync.OnceFunc(func() {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if old, ok := os.LookupEnv(name); ok {
			defer os.Setenv(name, old)
		} else {
			defer os.Unsetenv(name)
		}
		_ = os.Setenv(name, "/nonexistent") // fails only for a bad name
	}
	_, _ = x509.SystemCertPool() // the first call decides for the process
})

// needless reports whether no connection with TLS is made to use the server at the address.
func needless(address string, lookup func(string) (string, bool)) bool {
	for _, name := range Credentials {
		if _, ok := lookup(name); ok {
			return false
		}
	}

	return strings.HasPrefix(address, "grpc://") || strings.HasPrefix(address, "unix://")
}
