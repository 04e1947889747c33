package lock_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure"
	"tenure/internal/access"
	"tenure/lock"
	"tenure/server"
	"tenure/tenuretest"
)

// A caller who cannot renew a lease learns that before it gets or awaits one, and each missing right is named.
func TestAcquire_MissingRights(t *testing.T) {
	t.Parallel()
	for rights, want := range map[string]string{
		"write list": `leases on node "/local/node" cannot be renewed without the right to read: ` +
			`UNAUTHORIZED (Read permission denied)`,
		"read list":  `acquire semaphore "a" on node "/local/node": UNAUTHORIZED (Write permission denied)`,
		"list":       `open session on node "/local/node": UNAUTHORIZED (User has no access to the coordination node)`,
		"read write": "", // the node is not looked up
		"use":        "",
	} {
		t.Run(rights, func(t *testing.T) {
			t.Parallel()
			ann, hash := access.NewToken()
			root, rootHash := access.NewToken()
			file := filepath.Join(t.TempDir(), "tokens")
			require.NoError(t, os.WriteFile(file, []byte("user ann token="+hash+"\ngrant ann /local "+rights+"\n"+
				"user root token="+rootHash+"\ngrant root / full\n"), 0o600))
			srv := tenuretest.NewServer(t, server.WithTokensFile(file))
			as := func(token string) *tenure.Client {
				c, err := tenure.Open(t.Context(), srv.DSN(), tenure.WithDriverOptions(ydb.WithAccessTokenCredentials(token)))
				require.NoError(t, err)
				t.Cleanup(func() { c.Close(t.Context()) })

				return c
			}
			require.NoError(t, as(root).CreateNode(t.Context(), "/local/node", coordination.NodeConfig{}))

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			held, err := lock.Acquire(ctx, as(ann), "/local/node", "a")
			if want == "" {
				require.NoError(t, err)
				require.NoError(t, held.Release(t.Context()))

				return
			}
			require.ErrorContains(t, err, want)
			require.True(t, ydb.IsOperationError(err, Ydb.StatusIds_UNAUTHORIZED))
			require.Less(t, time.Since(began), tenure.DefaultSessionTimeout/3) // before the first renewal
		})
	}
}

// A waiter learns long before its deadline that its token is withdrawn. If the token comes back, the wait goes on.
func TestAcquire_TokenWithdrawn(t *testing.T) {
	t.Parallel()
	ann, hash := access.NewToken()
	root, rootHash := access.NewToken()
	file := filepath.Join(t.TempDir(), "tokens")
	others := "user root token=" + rootHash + "\ngrant all /local full\n"
	write := func(lines string) { require.NoError(t, os.WriteFile(file, []byte(lines), 0o600)) }
	write("user ann token=" + hash + "\n" + others)
	srv := tenuretest.NewServer(t, server.WithTokensFile(file))
	as := func(token string) *tenure.Client {
		c, err := tenure.Open(t.Context(), srv.DSN(), tenure.WithDriverOptions(ydb.WithAccessTokenCredentials(token)))
		require.NoError(t, err)
		t.Cleanup(func() { c.Close(t.Context()) })

		return c
	}
	first, err := lock.Acquire(t.Context(), as(root), path, name)
	require.NoError(t, err)
	events := newRecorder()
	acquired := make(chan *lock.Held, 1)
	go func() {
		held, err := lock.Acquire(t.Context(), as(ann), path, name, events.observer(), lock.WithTimeout(10*time.Minute))
		if err == nil {
			acquired <- held
		}
		close(acquired)
	}()
	await(t, events, func(e lock.Waiting) bool { return len(e.Holders) > 0 })

	write(others) // the server notices that within seconds
	e := await(t, events, func(lock.SessionRefused) bool { return true })
	require.ErrorContains(t, e.Err, `the server refuses to continue the session: attach to node "/local/test": `)
	write("user ann token=" + hash + "\n" + others)
	await(t, events, func(e lock.SessionRefused) bool { return e.Err == nil })
	require.NoError(t, first.Release(t.Context()))
	held := <-acquired
	require.NotNil(t, held)
	require.NoError(t, held.Release(t.Context()))
	require.Empty(t, all[lock.Retry](events))
}
