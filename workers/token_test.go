package workers_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/access"
	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/internal/identity"
	"tenure/internal/nocontext"
	"tenure/server"
	"tenure/tenuretest"
	"tenure/workers"
)

// By default, the data that others can see describes the process. The caller can attach other data, or none.
func TestRun_Data(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string][]workers.Option{
		identity.Self(): nil, "": {workers.WithData([]byte{})}, "mine": {workers.WithData([]byte("mine"))},
	} {
		bubbletest.Test(t, func(t *testing.T) {
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
		err := run(t.Context(), client, path, names(1), 1, work)
		require.EqualError(t, err, inPool+"the coordination client is nil")
	}
	var none context.Context
	err := run(none, coordtest.NewService(), path, names(1), 1, work)
	require.ErrorIs(t, err, nocontext.Err)
	_, err = workers.Look(none, coordtest.NewService(), path, workers.Names(names(1)...))
	require.ErrorIs(t, err, nocontext.Err)
}

func TestRun_NilOptions(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		work := func(context.Context, string) error { cancel(); return nil }
		err := run(ctx, coordtest.NewService(), path, names(1), 1, work, nil, workers.WithObserver(nil), nil)
		require.Equal(t, context.Canceled, err)
	})
}

// The protocol cannot carry text that is not valid UTF-8, and the SDK's client would wait forever.
func TestRun_InvalidUTF8(t *testing.T) {
	t.Parallel()
	const bad = "caf\xe9"
	service := coordtest.NewService()
	work := func(context.Context, string) error { return nil }
	require.EqualError(t, run(t.Context(), service, path, []string{"a", bad}, 1, work),
		inPool+`task "caf\xe9": the semaphore name is not valid UTF-8`)
	require.EqualError(t, run(t.Context(), service, "/local/"+bad, names(1), 1, work),
		inPool+`the node path "/local/caf\xe9" is not valid UTF-8`)
	require.EqualError(t, run(t.Context(), service, path, names(1), 1, work, workers.WithDescription(bad)),
		inPool+`the description "caf\xe9" is not valid UTF-8`)
	require.Zero(t, service.Calls("DescribeNode"))
}

// Run reports the reason after 3 s without a session, even if the worker has had a session before.
func TestRun_NoSession(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
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

// A worker learns long before its deadline that its token is withdrawn. If the token comes back, the worker goes on.
func TestRun_TokenWithdrawn(t *testing.T) {
	t.Parallel()
	ann, hash := access.NewToken()
	_, other := access.NewToken()
	file := filepath.Join(t.TempDir(), "tokens")
	others := "user root token=" + other + "\ngrant all /local full\n"
	write := func(lines string) { require.NoError(t, os.WriteFile(file, []byte(lines), 0o600)) }
	write("user ann token=" + hash + "\n" + others)
	srv := tenuretest.NewServer(t, server.WithTokensFile(file))
	client, err := tenure.Open(t.Context(), srv.DSN(), tenure.WithDriverOptions(ydb.WithAccessTokenCredentials(ann)))
	require.NoError(t, err)
	defer client.Close(t.Context())

	ctx, stop := context.WithCancel(t.Context())
	refusals, working := make(chan error, 9), make(chan struct{}, 9)
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, client, path, names(1), 1, func(ctx context.Context, _ string) error {
			working <- struct{}{}
			<-ctx.Done()

			return nil
		}, workers.WithTimeout(10*time.Minute), workers.WithObserver(func(e workers.Event) {
			if e, ok := e.(workers.SessionRefused); ok {
				refusals <- e.Err
			}
		}))
	}()
	<-working
	write(others) // the server notices that within seconds
	require.ErrorContains(t, <-refusals, `the server refuses to continue the session: attach to node "/local/test": `)
	write("user ann token=" + hash + "\n" + others)
	require.NoError(t, <-refusals)
	require.Empty(t, working, "the task has run all the time")
	stop()
	require.ErrorIs(t, <-done, context.Canceled)
}
