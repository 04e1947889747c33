package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
)

// A server of which one node is stuck is not live, although other nodes work. An idle node is not stuck.
func TestServer_IsNotLiveWhileANodeIsStuck(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var admin serverconfig.Admin
		control := &serverconfig.Control{}
		h := serve(t, func(c *serverconfig.Config) { c.Admin, c.Control = &admin, control })
		h.attach(t, 0, time.Minute)
		time.Sleep(time.Hour)
		require.NoError(t, admin.Live())

		release, done := make(chan struct{}), make(chan error)
		go func() {
			done <- control.Expire(context.WithoutCancel(t.Context()), func(string, *node.Snapshot) []uint64 {
				<-release // in the owner of the node

				return nil
			})
		}()
		synctest.Wait()
		time.Sleep(10 * time.Second)
		require.NoError(t, admin.Live())
		time.Sleep(time.Millisecond)
		require.EqualError(t, admin.Live(),
			"node /local/test has made no progress for 10 s: restart the server, and report this as a bug")
		close(release)
		require.NoError(t, <-done)
		synctest.Wait()
		require.NoError(t, admin.Live())
	})
}
