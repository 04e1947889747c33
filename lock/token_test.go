package lock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/coordtest"
	"tenure/internal/identity"
	"tenure/lock"
	"tenure/tenuretest"
)

// The leases of this client do not know their token, so Token asks the server for the order id.
func TestToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		for _, want := range []uint64{1, 2} {
			err := lock.Run(t.Context(), service, path, name, func(ctx context.Context) error {
				asked := service.Calls("DescribeSemaphore")
				sub, cancel := context.WithCancel(ctx)
				defer cancel()
				for range 3 {
					token, err := lock.Token(sub)
					require.NoError(t, err)
					require.Equal(t, want, token)
				}
				require.Equal(t, 1, service.Calls("DescribeSemaphore")-asked, "the server is asked once")

				return nil
			})
			require.NoError(t, err)
		}
	})
}

// The token is the same number with the client of package tenure and with the SDK's.
func TestToken_Clients(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	db, err := ydb.Open(t.Context(), srv.DSN(), ydb.WithAnonymousCredentials())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	for i, client := range []coordination.Client{tenure.New(db), db.Coordination(), tenure.New(db)} {
		err := lock.Run(t.Context(), client, path, name, func(ctx context.Context) error {
			token, err := lock.Token(ctx)
			require.NoError(t, err)
			require.EqualValues(t, i+1, token)

			return nil
		})
		require.NoError(t, err)
	}
}

func TestToken_OutsideWork(t *testing.T) {
	t.Parallel()
	_, err := lock.Token(t.Context())
	require.EqualError(t, err, "there is no token: the context is not one that Run passed to work")
}

// Token stops waiting for the answer when the lock is lost, even if its ctx has not ended.
func TestToken_Lost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		var r runner
		unplugged := errors.New("unplugged")
		r.run(t.Context(), service, func(ctx context.Context) error {
			if len(r.began) > 1 {
				return nil
			}
			time.AfterFunc(time.Second, func() { service.Break(1, unplugged) })
			service.SetDelay(func() time.Duration { return time.Hour })
			_, err := lock.Token(context.WithoutCancel(ctx))
			service.SetDelay(func() time.Duration { return time.Millisecond })
			require.ErrorIs(t, err, lock.ErrLost)
			require.EqualError(t, err, `read the token of semaphore "lock": lease lost: unplugged`)
			_, err = lock.Token(ctx)
			require.ErrorIs(t, err, lock.ErrLost)

			return nil
		})
		require.NoError(t, <-r.done)
	})
}

func TestToken_NoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		err := lock.Run(t.Context(), service, path, name, func(ctx context.Context) error {
			service.SetDelay(func() time.Duration { return time.Hour })
			defer service.SetDelay(func() time.Duration { return time.Millisecond })
			limited, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := lock.Token(limited)
			require.ErrorIs(t, err, context.DeadlineExceeded)

			return nil
		})
		require.NoError(t, err)
	})
}

// By default, the data that others can see describes the process. The caller can attach other data, or none.
func TestRun_Data(t *testing.T) {
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
			synctest.Test(t, func(t *testing.T) {
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

func TestRun_NilClient(t *testing.T) {
	t.Parallel()
	var ours *tenure.Client
	var others *coordtest.Service
	work := func(context.Context) error { return nil }
	for _, client := range []coordination.Client{nil, ours, others} {
		require.EqualError(t, lock.Run(t.Context(), client, path, name, work), `lock "lock": the coordination client is nil`)
	}
	var none context.Context
	require.EqualError(t, lock.Run(none, coordtest.NewService(), path, name, work), `lock "lock": the context is nil`)
}

// A client that is closed stays closed, so Run does not try again.
func TestRun_ClosedClient(t *testing.T) {
	t.Parallel()
	client := tenuretest.NewServer(t).Client(t)
	working := func(context.Context) error { return client.Close(t.Context()) }
	for _, when := range []string{"during work", "before Run"} {
		err := lock.Run(t.Context(), client, path, "job", working)
		require.EqualError(t, err, `describe node "/local/test": the client is closed`, when)
	}
}

func TestRun_NilOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		work := func(context.Context) error { return nil }
		require.NoError(t, lock.Run(t.Context(), coordtest.NewService(), path, name, work, nil, lock.WithObserver(nil), nil))
	})
}

// The protocol cannot carry text that is not valid UTF-8, and the SDK's client would wait forever.
func TestRun_InvalidUTF8(t *testing.T) {
	t.Parallel()
	service := coordtest.NewService()
	work := func(context.Context) error { return nil }
	const bad = "caf\xe9"
	require.EqualError(t, lock.Run(t.Context(), service, path, bad, work),
		`lock "caf\xe9": the semaphore name is not valid UTF-8`)
	require.EqualError(t, lock.Run(t.Context(), service, "/local/"+bad, name, work),
		`lock "lock": the node path "/local/caf\xe9" is not valid UTF-8`)
	require.EqualError(t, lock.Run(t.Context(), service, path, name, work, lock.WithDescription(bad)),
		`lock "lock": the description "caf\xe9" is not valid UTF-8`)
	require.Zero(t, service.Calls("DescribeNode"))
}
