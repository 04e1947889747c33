package cli_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// session returns a Session as the flags leave it when none is given.
func session() *cli.Session {
	s := &cli.Session{}
	s.Flags()

	return s
}

func TestSession_Check(t *testing.T) {
	t.Parallel()
	const write = ": write grpc://host:port/database, e.g. grpc://localhost:2136/local"
	for _, test := range []struct {
		name, dsn, path string
		timeout         time.Duration
		want, err       string
	}{
		{name: "default path", dsn: "grpc://localhost:2136/local", want: "/local/tenure"},
		{name: "trailing slash", dsn: "grpc://localhost:2136/local/", want: "/local/tenure"},
		{name: "database as a parameter", dsn: "grpcs://ydb:2135/?database=/ru/etn", want: "/ru/etn/tenure"},
		{name: "path", dsn: "grpc://localhost:2136/local", path: "/local/test", want: "/local/test"},
		{name: "user", dsn: "grpc://u:p@localhost:2136/local", path: "/local/test", want: "/local/test"},
		{name: "embedded", want: "/local/tenure"},
		{name: "no scheme", dsn: "a:2136/local", err: `-ydb="a:2136/local" is not a server's address` + write},
		{name: "other scheme", dsn: "http://a:1/local", err: `-ydb="http://a:1/local" is not a server's address` + write},
		{name: "no host", dsn: "grpc:///local", err: `-ydb="grpc:///local" is not a server's address` + write},
		{name: "no port", dsn: "grpc://a/local", err: `-ydb="grpc://a/local" is without a usable port` + write},
		{name: "bad port", dsn: "grpc://a:70000/l", err: `-ydb="grpc://a:70000/l" is without a usable port` + write},
		{name: "no database", dsn: "grpc://a:1/", err: `-ydb="grpc://a:1/" is without a database` + write},
		{name: "password", dsn: "grpc://u:secret@a/l", err: `-ydb="grpc://u:xxxxx@a/l" is without a usable port` + write},
		{
			name: "relative path", dsn: "grpc://a:1/local", path: "test",
			err: `-path="test" is not absolute: write /local/test`,
		},
		{
			name: "short timeout", dsn: "grpc://a:1/local", timeout: time.Millisecond,
			err: "-timeout=1ms is not within 1s and 30m",
		},
		{
			name: "long timeout", dsn: "grpc://a:1/local", timeout: time.Hour,
			err: "-timeout=1h0m0s is not within 1s and 30m",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := session()
			s.DSN, s.Path = test.dsn, test.path
			if test.timeout != 0 {
				s.Timeout = test.timeout
			}
			err := s.Check()
			if test.err != "" {
				require.EqualError(t, err, test.err)

				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, s.Path)
		})
	}
}

func TestSession_OpenSaysAtOnceThatThereIsNoServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to end
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	s := session()
	s.DSN = "grpc://" + address + "/local"
	require.NoError(t, s.Check())
	_, err = s.Open(t.Context(), func(string) {})
	require.EqualError(t, err, "no server at "+address+
		` (connection refused): start one with "tenure serve", or check -ydb`)
}
