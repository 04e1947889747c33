package conformance_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"

	"tenure/internal/access"
	"tenure/internal/certs/certtest"
	"tenure/server"
)

// secret makes servers use TLS and refuse clients without a token. Of the users, the clients of the suite show the one
// who has the rights that the suite needs, and no others. No client has all rights.
type secret struct {
	authority *certtest.Authority
	pair      tls.Certificate
	file      string // the tokens file
	token     string
}

func newSecret(t *testing.T) *secret {
	t.Helper()
	s := &secret{authority: certtest.New(t), file: filepath.Join(t.TempDir(), "tokens")}
	s.pair = s.authority.Issue(t).TLS(t)
	token, hash := access.NewToken()
	s.token = token
	require.NoError(t, os.WriteFile(s.file, []byte("user suite token="+hash+"\n"+
		"grant suite /local ydb.granular.select_row ydb.granular.update_row ydb.granular.erase_row\n"+
		"grant suite /local ydb.granular.describe_schema\n"+
		"grant suite /local ydb.granular.create_table ydb.granular.create_directory\n"+
		"grant suite /local ydb.granular.alter_schema ydb.granular.remove_schema\n"), 0o600))

	return s
}

// server returns the options of the servers.
func (s *secret) server() []server.Option {
	if s == nil {
		return nil
	}

	return []server.Option{
		server.WithTLS(&tls.Config{Certificates: []tls.Certificate{s.pair}}), server.WithTokensFile(s.file),
	}
}

// driver returns the options of the drivers.
func (s *secret) driver() []ydb.Option {
	if s == nil {
		return nil
	}

	return []ydb.Option{
		ydb.WithCertificate(s.authority.Certificate()), ydb.WithAccessTokenCredentials(s.token),
	}
}
