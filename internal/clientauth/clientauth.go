// Package clientauth prepares how a command identifies itself to a server, and how it recognises the server: by files
// that flags name, or by the variables of ydb-go-sdk.
package clientauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ydb-platform/ydb-go-sdk-auth-environ"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	ydbcredentials "github.com/ydb-platform/ydb-go-sdk/v3/credentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/access"
	"tenure/internal/certs"
	"tenure/internal/clock"
	"tenure/internal/dsn"
	"tenure/internal/secretfile"
)

// Settings are the files that a command uses. They contain no secret, so they may be passed to another process. A file
// without a path is not used.
type Settings struct {
	CA        certs.File // authorities to trust instead of those of the system
	Cert, Key certs.File // certificate of the client
	Token     certs.File // access token
}

// Check reads the files once, and the variables of static credentials. It makes the paths absolute.
func (s *Settings) Check(lookup func(string) (string, bool)) error {
	for _, f := range []*certs.File{&s.CA, &s.Cert, &s.Key, &s.Token} {
		if f.Path == "" {
			continue
		}
		path, err := filepath.Abs(f.Path)
		if err != nil {
			return fmt.Errorf("%s=%q: %w", f.Setting, f.Path, err)
		}
		f.Path = path
	}
	switch {
	case s.Cert.Path != "" && s.Key.Path == "":
		return fmt.Errorf("%s=%q needs a private key: pass --key-file", s.Cert.Setting, s.Cert.Path)
	case s.Cert.Path == "" && s.Key.Path != "":
		return fmt.Errorf("%s=%q needs a certificate: pass --cert-file", s.Key.Setting, s.Key.Path)
	}
	if s.CA.Path != "" {
		if _, err := certs.ReadAuthorities(s.CA, now()); err != nil {
			return err
		}
	} else if path, ok := lookup(rootsVariable); ok {
		if _, err := certs.ReadAuthorities(certs.File{Setting: rootsVariable, Path: path}, now()); err != nil {
			return err
		}
	}
	if s.Cert.Path != "" {
		if _, err := certs.ReadClient(s.Cert, s.Key, now()); err != nil {
			return err
		}
	}
	if s.Token.Path != "" {
		_, err := readToken(s.Token)

		return err
	}
	if token, ok := lookup(tokenVariable); ok && access.Mistyped(token) {
		return fmt.Errorf("%s is mistyped: its checksum is wrong: copy the token again", tokenVariable)
	}
	_, err := static(lookup)

	return err
}

func now() time.Time {
	c := clock.Go()

	return c.Time(c.Now())
}

// Variables of ydb-go-sdk and of its package environ.
const (
	rootsVariable    = "YDB_SSL_ROOT_CERTIFICATES_FILE"
	tokenVariable    = "YDB_ACCESS_TOKEN_CREDENTIALS"
	userVariable     = "YDB_STATIC_CREDENTIALS_USER"
	passwordVariable = "YDB_STATIC_CREDENTIALS_PASSWORD"
	endpointVariable = "YDB_STATIC_CREDENTIALS_ENDPOINT"
)

// Options returns the options for the driver of the server at host, a host:port. The credentials are those of the token
// file, or otherwise those of the variables, or none.
func (s *Settings) Options(host string, lookup func(string) (string, bool)) []dsn.Option {
	opts := []dsn.Option{ydb.With(func(c *config.Config) { configure(s, c) })}
	if s.Token.Path != "" {
		return append(opts, ydb.WithCredentials(tokenFile{s.Token}))
	}
	if account, err := serviceAccount(lookup); account != nil && err == nil {
		return append(opts, ydb.WithCredentials(account))
	}
	login, err := static(lookup)
	if login == nil || err != nil { // Check has returned the error, or environ returns it
		return append(opts, environ.WithEnvironCredentials())
	}

	return append(opts, ydb.With(func(c *config.Config) { config.WithCredentials(login.credentials(host, c))(c) }))
}

// configure changes the TLS settings of a driver, after it has added the authorities of rootsVariable to them. The
// comment on clientconfig.Driver says why it is not a method.
func configure(s *Settings, c *config.Config) {
	t := c.TLSConfig()
	if s.CA.Path != "" {
		pool, err := certs.ReadAuthorities(s.CA, now())
		if err != nil {
			pool = x509.NewCertPool() // trust nobody, rather than the authorities of the system
		}
		t.RootCAs = pool
	}
	if s.Cert.Path != "" {
		// It is called for each connection, so a certificate that is replaced in time stays valid.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := certs.ReadClient(s.Cert, s.Key, now())

			return &pair, err
		}
	}
}

// A tokenFile is credentials whose token is read for each call, so that it can be replaced.
type tokenFile struct{ certs.File }

// Token implements credentials.Credentials.
func (f tokenFile) Token(context.Context) (string, error) { return readToken(f.File) }

// String names the credentials in errors of the SDK.
func (f tokenFile) String() string { return "token in " + f.Path }

// maxToken bounds a token. The metadata of a call cannot be larger.
const maxToken = 8 << 10

func readToken(f certs.File) (string, error) {
	text, err := secretfile.Read(f.Path, maxToken)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.Setting, err)
	}
	token := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case token == "":
		return "", fmt.Errorf("%s=%q is empty: write the access token into it", f.Setting, f.Path)
	case access.Mistyped(token):
		return "", fmt.Errorf("%s=%q: the token is mistyped: its checksum is wrong: copy it again", f.Setting, f.Path)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("%s=%q has more than a token in it: write the token alone, in one line", f.Setting, f.Path)
	}

	return token, nil
}

// A login is a user and a password, which are exchanged for a token.
type login struct{ user, password, endpoint string }

// static returns the static credentials of the variables, or nil if there are none or if others come before them. The
// package environ makes them without transport credentials, so that they never work.
func static(lookup func(string) (string, bool)) (*login, error) {
	user, ok := lookup(userVariable)
	metadata, _ := lookup("YDB_METADATA_CREDENTIALS")
	set := func(name string) bool { _, ok := lookup(name); return ok }
	if !ok || metadata == "1" || slices.ContainsFunc(before, set) {
		return nil, nil //nolint:nilnil // there are none
	}
	password, ok := lookup(passwordVariable)
	if !ok {
		return nil, errors.New(userVariable + " is set, but " + passwordVariable + " is not: set it, even if it is empty")
	}
	endpoint, _ := lookup(endpointVariable)

	return &login{user, password, endpoint}, nil
}

// before are the variables that the package environ looks at first.
var before = []string{
	accountKeyVariable,
	accountFileVariable,
	tokenVariable,
}

// credentials returns the credentials for a driver of the server at host with the config.
func (l *login) credentials(host string, c *config.Config) ydbcredentials.Credentials {
	if l.endpoint == "" {
		return ydbcredentials.NewStaticCredentials(l.user, l.password, host,
			ydbcredentials.WithGrpcDialOptions(c.GrpcDialOptions()...)) // it may connect to a socket
	}
	transport := insecure.NewCredentials()
	if c.Secure() {
		transport = credentials.NewTLS(c.TLSConfig())
	}

	return ydbcredentials.NewStaticCredentials(l.user, l.password, l.endpoint,
		ydbcredentials.WithGrpcDialOptions(grpc.WithTransportCredentials(transport)))
}
