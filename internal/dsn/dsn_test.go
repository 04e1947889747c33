package dsn_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/dsn"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, host, database string }{
		{"grpc://localhost:2136/local", "localhost:2136", "/local"},
		{"grpc://localhost:2136/local/", "localhost:2136", "/local"},
		{"grpcs://ydb.example:2135/?database=/ru/etn", "ydb.example:2135", "/ru/etn"},
		{"grpc://u:p@[::1]:2136/local", "[::1]:2136", "/local"},
		{"unix:///run/tenure/socket", "/run/tenure/socket", "/local"},
		{"unix:///run/a%20b?database=/ru/etn/&user=tenure", "/run/a b", "/ru/etn"},
	} {
		a, err := dsn.Parse("--ydb", test.text)
		require.NoError(t, err)
		require.Equal(t, test.host, a.Host)
		require.Equal(t, test.database, a.Database)
	}
}

func TestParse_Errors(t *testing.T) {
	t.Parallel()
	const write = ": write grpc://host:port/database, for example grpc://localhost:2136/local"
	const writeSocket = ": write unix:///path/of/socket, for example unix:///run/tenure/socket"
	for name, test := range map[string]struct{ text, want string }{
		"no scheme":    {"a:2136/local", `"a:2136/local" is not a valid address` + write},
		"other scheme": {"http://a:1/local", `"http://a:1/local" does not begin with grpc://, grpcs:// or unix://` + write},
		"no host":      {"grpc:///local", `"grpc:///local" is not a valid address` + write},
		"no port":      {"grpc://a/local", `"grpc://a/local" has no valid port` + write},
		"large port":   {"grpc://a:70000/l", `"grpc://a:70000/l" has no valid port` + write},
		"no database":  {"grpc://a:1/", `"grpc://a:1/" has no database` + write},
		"password":     {"grpc://u:secret@a/l", `"grpc://u:xxxxx@a/l" has no valid port` + write},
		"bad password": {"grpc://u:sec%ret@a:1/l", `"grpc://u:xxxxx@a:1/l" is not a valid address` + write},
		"password, but no scheme": {
			"u:sec@ret@a:1/l", `"u:xxxxx@a:1/l" is not a valid address` + write,
		},
		"parameters": {"grpc://a:1?token=secret", `"grpc://a:1?..." has no database` + write},
		"UTF-8":      {"grpc://a:1/%ff", `"grpc://a:1/%ff" is not valid UTF-8` + write},
		"not ASCII": {
			"grpc://a:1/é", `"grpc://a:1/é" has a database with characters other than printable ASCII` + write,
		},
		"control character": {
			"grpc://a:1/l%00", `"grpc://a:1/l%00" has a database with characters other than printable ASCII` + write,
		},
		"socket with a host": {
			"unix://run/socket", `"unix://run/socket" does not have an absolute path` + writeSocket,
		},
		"relative socket":            {"unix:socket", `"unix:socket" does not have an absolute path` + writeSocket},
		"socket that is a directory": {"unix:///run/", `"unix:///run/" is not the path of a file` + writeSocket},
		"socket with a parameter": {
			"unix:///run/s?uid=1", `"unix:///run/s?..." has an unknown parameter: there are only database and user`,
		},
		"socket with a bad database": {
			"unix:///run/s?database=local",
			`"unix:///run/s?..." has a database that is not a path: write e.g. ?database=/local`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dsn.Parse("--ydb", test.text)
			require.EqualError(t, err, "--ydb="+test.want)
		})
	}

	_, err := dsn.Parse("TENURE_DSN", "")
	require.EqualError(t, err,
		`TENURE_DSN is empty: write "embedded" to use the embedded server, or grpc://host:port/database`)
}

// Parse takes any text, and its errors leave passwords out.
func FuzzParse(f *testing.F) {
	f.Add("grpc://", "user", "secret", "host:1/local")
	f.Add("", "u@v", "%zz", "/\xff?database=")
	f.Add("grpc://", "user", "a?b", "host:1/local")
	f.Fuzz(func(t *testing.T, scheme, user, password, rest string) {
		const secret = "hunter2"
		a, err := dsn.Parse("--ydb", scheme+user+":"+secret+password+"@"+rest)
		if err == nil {
			require.NotEmpty(t, a.Host)
			require.NotEmpty(t, a.Database)
		} else if !strings.Contains(scheme+user+rest, "?") {
			require.NotContains(t, err.Error(), secret)
		}
	})
}
