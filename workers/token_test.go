package workers_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/coordtest"
	"tenure/internal/identity"
	"tenure/workers"
)

// Each task has its own lease and token.
func TestToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(3)
		var mu sync.Mutex
		tokens := map[uint64]string{}
		w := h.enterWith(t.Context(), 3, func(ctx context.Context, task string) error {
			token, err := workers.Token(ctx)
			mu.Lock()
			if err == nil {
				tokens[token] = task
			}
			mu.Unlock()
			if workers.Lease(ctx).Session().SessionID() != 1 {
				return errors.New("a lease of another session")
			}
			<-ctx.Done()

			return nil
		})
		time.Sleep(soon)
		require.Len(t, w.has(), 3)
		require.Equal(t, errStopped, w.end(t))
		require.Len(t, tokens, 3)
		for token := range tokens {
			require.LessOrEqual(t, token, uint64(3))
		}
	})

	require.Nil(t, workers.Lease(t.Context()))
	_, err := workers.Token(t.Context())
	require.EqualError(t, err, "there is no token: the context is not one that Run passed to work")
}

// By default, the data that others can see describes the process. The caller can attach other data, or none.
func TestRun_Data(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string][]workers.Option{
		identity.Self(): nil, "": {workers.WithData([]byte{})}, "mine": {workers.WithData([]byte("mine"))},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHall(1)
			w := h.enter(t, 1, opts...)
			time.Sleep(soon)
			require.Len(t, w.has(), 1)
			session, err := h.Session(t.Context(), path, options.WithSessionTimeout(timeout))
			require.NoError(t, err)
			found, err := session.DescribeSemaphore(t.Context(), "job-0", options.WithDescribeOwners(true))
			require.NoError(t, err)
			require.Equal(t, want, string(found.Owners[0].Data))
			require.NoError(t, session.Close(t.Context()))
			require.Equal(t, errStopped, w.end(t))
		})
	}
}

func TestRun_NilClient(t *testing.T) {
	t.Parallel()
	var ours *tenure.Client
	var others *coordtest.Service
	work := func(context.Context, string) error { return nil }
	for _, client := range []coordination.Client{nil, ours, others} {
		err := workers.Run(t.Context(), client, path, names(1), 1, work)
		require.EqualError(t, err, "workers: the coordination client is nil")
	}
	var none context.Context
	err := workers.Run(none, coordtest.NewService(), path, names(1), 1, work)
	require.EqualError(t, err, "workers: the context is nil")
}

func TestRun_NilOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		work := func(context.Context, string) error { cancel(); return nil }
		err := workers.Run(ctx, coordtest.NewService(), path, names(1), 1, work, nil, workers.WithObserver(nil), nil)
		require.Equal(t, context.Canceled, err)
	})
}

// The protocol cannot carry text that is not valid UTF-8, and the SDK's client would wait forever.
func TestRun_InvalidUTF8(t *testing.T) {
	t.Parallel()
	const bad = "caf\xe9"
	service := coordtest.NewService()
	work := func(context.Context, string) error { return nil }
	require.EqualError(t, workers.Run(t.Context(), service, path, []string{"a", bad}, 1, work),
		`workers: task "caf\xe9": the semaphore name is not valid UTF-8`)
	require.EqualError(t, workers.Run(t.Context(), service, "/local/"+bad, names(1), 1, work),
		`workers: the node path "/local/caf\xe9" is not valid UTF-8`)
	require.EqualError(t, workers.Run(t.Context(), service, path, names(1), 1, work, workers.WithDescription(bad)),
		`workers: the description "caf\xe9" is not valid UTF-8`)
	require.Zero(t, service.Calls("DescribeNode"))
}

// Run reports the reason after 3 s without a session, even if the worker has had a session before.
func TestRun_NoSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(1)
		w := h.enter(t, 1)
		time.Sleep(time.Minute)
		h.SetFault(failing("DescribeNode", coordtest.Stalled{}))
		require.True(t, h.Break(w.session(), errors.New("unplugged")))
		time.Sleep(3*time.Second - time.Nanosecond)
		require.NotContains(t, w.story(), "NoSession")
		time.Sleep(time.Hour)
		require.Contains(t, w.story(), "NoSession{3s no answer from the server: check that it runs and can be reached}")
		require.Equal(t, errStopped, w.end(t))
	})
}
