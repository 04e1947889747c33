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
