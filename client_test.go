package tenure_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/server"
	"tenure/tenuretest"
)

// A nil client has no server; its methods say so. Nil options have no effect.
func TestClient_Nil(t *testing.T) {
	for _, c := range []*tenure.Client{nil, tenure.New(nil)} {
		const want = `"/local/test": the client is nil: create it with Open or New`
		_, err := c.Session(t.Context(), path)
		require.EqualError(t, err, "open session on node "+want)
		require.EqualError(t, c.CreateNode(t.Context(), path, coordination.NodeConfig{}), "create node "+want)
		require.EqualError(t, c.AlterNode(t.Context(), path, coordination.NodeConfig{}), "alter node "+want)
		require.EqualError(t, c.DropNode(t.Context(), path), "drop node "+want)
		_, _, err = c.DescribeNode(t.Context(), path)
		require.EqualError(t, err, "describe node "+want)
		require.NoError(t, c.Close(t.Context()))
	}

	s := session(t, open(t, tenuretest.NewServer(t)), nil)
	require.NoError(t, s.CreateSemaphore(t.Context(), "x", 1, nil))
	require.NoError(t, s.UpdateSemaphore(t.Context(), "x", nil))
	_, err := s.DescribeSemaphore(t.Context(), "x", nil)
	require.NoError(t, err)
	l, err := s.AcquireSemaphore(t.Context(), "x", 1, nil)
	require.NoError(t, err)
	require.NoError(t, l.Release())
	require.NoError(t, s.DeleteSemaphore(t.Context(), "x", nil))
	require.NoError(t, s.Close(t.Context()))
}

// A program that builds its paths with Database works with any server.
func TestClient_Database(t *testing.T) {
	for _, database := range []string{"/local", "/ru/prod/db"} {
		srv := tenuretest.NewServer(t, server.WithDatabase(database))
		require.Equal(t, database, srv.Database())
		driver, err := ydb.Open(t.Context(), srv.DSN())
		require.NoError(t, err)
		opened, err := tenure.Open(t.Context(), srv.DSN())
		require.NoError(t, err)
		for _, c := range []*tenure.Client{srv.Client(t), opened, tenure.New(driver)} {
			require.Equal(t, database, c.Database())
			require.NoError(t, c.CreateNode(t.Context(), c.Database()+"/app", coordination.NodeConfig{}))
			require.NoError(t, c.Close(t.Context()))
		}
		require.NoError(t, driver.Close(t.Context()))
	}
	require.Empty(t, (*tenure.Client)(nil).Database())
}

// A path that is not absolute is refused by each method, with the path to write instead. The server is not asked: it
// would say of a session only that the node does not exist.
func TestClient_RelativePath(t *testing.T) {
	srv := tenuretest.NewServer(t, server.WithDatabase("/ru/prod"))
	c := srv.Client(t)
	for _, test := range []struct{ path, want string }{
		{"app", `the path is not absolute: write "/ru/prod/app"`},
		{"app/node/", `the path is not absolute: write "/ru/prod/app/node"`},
		{"ru/prod/app", `the path is not absolute: write "/ru/prod/app"`},
		{"ru/prod", `the path is not absolute: write "/ru/prod"`},
		{"ru/production", `the path is not absolute: write "/ru/prod/ru/production"`},
		{"../app", `the path is not absolute: write "/ru/prod/app"`},
		{"", `the path is empty: write e.g. "/ru/prod/app"`},
	} {
		var config coordination.NodeConfig
		for op, call := range map[string]func() error{
			"create node":   func() error { return c.CreateNode(t.Context(), test.path, config) },
			"alter node":    func() error { return c.AlterNode(t.Context(), test.path, config) },
			"drop node":     func() error { return c.DropNode(t.Context(), test.path) },
			"describe node": func() error { _, _, err := c.DescribeNode(t.Context(), test.path); return err },
			"open session on node": func() error {
				_, err := c.Session(t.Context(), test.path)

				return err
			},
		} {
			err := call()
			require.EqualError(t, err, fmt.Sprintf("%s %q: BAD_REQUEST: %s", op, test.path, test.want))
			require.True(t, ydb.IsOperationError(err, Ydb.StatusIds_BAD_REQUEST))
		}
	}
}

// The error names the session option whose duration is out of range.
func TestClient_SessionDurations(t *testing.T) {
	c := open(t, tenuretest.NewServer(t))
	for want, opt := range map[string]options.SessionOption{
		"options.WithSessionStartTimeout is set to 0s":       options.WithSessionStartTimeout(0),
		"options.WithSessionKeepAliveTimeout is set to -1ns": options.WithSessionKeepAliveTimeout(-1),
		"options.WithSessionReconnectDelay is set to 0s":     options.WithSessionReconnectDelay(0),
	} {
		_, err := c.Session(t.Context(), path, opt)
		require.EqualError(t, err, `open session on node "/local/test": `+want+": must be greater than zero")
	}
}

// A session without a description says whose it is.
func TestClient_DescribesItself(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s, err := c.Session(w.Context(), path)
		require.NoError(w, err)
		f.mu.Lock()
		require.Contains(w, f.start.GetDescription(), ", pid "+strconv.Itoa(os.Getpid())+" (")
		f.mu.Unlock()
		require.NoError(w, s.Close(w.Context()))
	})
}
