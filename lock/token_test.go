package lock_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/internal/identity"
	"tenure/lock"
	"tenure/tenuretest"
)

// The token is the same number with the client of package tenure and with the SDK's.
func TestHeld_TokenOfAnyClient(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	db, err := ydb.Open(t.Context(), srv.DSN(), ydb.WithAnonymousCredentials())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	for i, client := range []coordination.Client{tenure.New(db), db.Coordination(), tenure.New(db)} {
		err := lock.Do(t.Context(), client, path, name, func(_ context.Context, held *lock.Held) error {
			require.EqualValues(t, i+1, held.Token())

			return nil
		})
		require.NoError(t, err)
	}
}

// By default, the data that others can see describes the process. The caller can attach other data, or none.
func TestElect_Data(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		opts []lock.Option
		want string
	}{
		{"by default", nil, identity.Self()},
		{"nil", []lock.Option{lock.WithData(nil)}, identity.Self()},
		{"none", []lock.Option{lock.WithData([]byte{})}, ""},
		{"the caller's", []lock.Option{lock.WithData([]byte("mine"))}, "mine"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				service := coordtest.NewService()
				r := start(t, service, 0, test.opts...)
				require.Equal(t, 1, r.workingAfter(soon))
				session, err := service.Session(t.Context(), path, options.WithSessionTimeout(timeout))
				require.NoError(t, err)
				found, err := session.DescribeSemaphore(t.Context(), name, options.WithDescribeOwners(true))
				require.NoError(t, err)
				require.Equal(t, test.want, string(found.Owners[0].Data))
				require.NoError(t, session.Close(t.Context()))
				require.NoError(t, r.end(t))
			})
		})
	}
}

func TestDo_NilClient(t *testing.T) {
	t.Parallel()
	var ours *tenure.Client
	var others *coordtest.Service
	work := func(context.Context, *lock.Held) error { return nil }
	for _, client := range []coordination.Client{nil, ours, others} {
		require.EqualError(t, lock.Do(t.Context(), client, path, name, work), `lock "lock": the coordination client is nil`)
	}
	var none context.Context
	require.EqualError(t, lock.Do(none, coordtest.NewService(), path, name, work),
		`lock "lock": the context is nil: pass one, such as context.Background()`)
}

// A client that is closed stays closed, so no function tries again.
func TestElect_ClosedClient(t *testing.T) {
	t.Parallel()
	client := tenuretest.NewServer(t).Client(t)
	working := func(context.Context, *lock.Held) error { return client.Close(t.Context()) }
	for _, when := range []string{"during work", "before Elect"} {
		err := lock.Elect(t.Context(), client, path, "job", working)
		require.EqualError(t, err, `describe node "/local/test": the client is closed`, when)
	}
}

func TestDo_NilOptions(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		work := func(context.Context, *lock.Held) error { return nil }
		require.NoError(t, lock.Do(t.Context(), coordtest.NewService(), path, name, work, nil, lock.WithObserver(nil), nil))
	})
}

// The protocol cannot carry text that is not valid UTF-8, and the SDK's client would wait forever.
func TestDo_InvalidUTF8(t *testing.T) {
	t.Parallel()
	service := coordtest.NewService()
	work := func(context.Context, *lock.Held) error { return nil }
	const bad = "caf\xe9"
	require.EqualError(t, lock.Do(t.Context(), service, path, bad, work),
		`lock "caf\xe9": the semaphore name is not valid UTF-8`)
	require.EqualError(t, lock.Do(t.Context(), service, "/local/"+bad, name, work),
		`lock "lock": the node path "/local/caf\xe9" is not valid UTF-8`)
	require.EqualError(t, lock.Do(t.Context(), service, path, name, work, lock.WithDescription(bad)),
		`lock "lock": the description "caf\xe9" is not valid UTF-8`)
	require.Zero(t, service.Calls("DescribeNode"))
}
