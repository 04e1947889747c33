package server_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/internal/store/storetest"
)

// A restored server is ready, and shows until when it grants nothing. A restart begins the wait again, until it is
// over.
func TestServer_ShowsTheWaitAfterARestore(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		data := &memstore.Disk{}
		s := open(t, data)
		restored, err := catalog.RestoreRecord(catalog.Contents{}, time.Minute)
		require.NoError(t, err)
		require.NoError(t, s.Commit(t.Context(), store.Batch{Changes: []node.Record{restored}}))
		require.NoError(t, s.Close())

		var admin serverconfig.Admin
		with := func(c *serverconfig.Config) { c.Admin = &admin }
		serve(t, withStore(open(t, data)), with).stop(t)
		time.Sleep(time.Minute - time.Millisecond)
		began := time.Now()
		h := start(t, withStore(open(t, data)), with)
		require.NoError(t, admin.Ready())
		require.Equal(t, began.Add(time.Minute).UTC(), admin.GrantsFrom())
		require.Equal(t, time.Minute, admin.Stats(t.Context()).GrantsIn)
		status, err := h.server.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, admin.GrantsFrom(), status.GrantsFrom)

		client := h.attach(t, 0, 2*time.Minute)
		client.requirePending("job")
		require.True(t, client.recv().GetAcquireSemaphoreResult().GetAcquired())
		require.Equal(t, time.Minute, time.Since(began))
		require.Zero(t, admin.GrantsFrom())
		require.Zero(t, admin.Stats(t.Context()).GrantsIn)
		status, err = h.server.Status(t.Context())
		require.NoError(t, err)
		require.Zero(t, status.GrantsFrom)
		h.stop(t)
		start(t, withStore(open(t, data)), with)
		require.Zero(t, admin.GrantsFrom())
	})
}

// Of several servers, the first one whose wait is over ends the wait. What it has granted then is not taken back by
// another one that was started later and takes the node over.
func TestServer_TheWaitAfterARestoreEndsForAllServers(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(strconv.FormatBool(late), func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				c := storetest.NewCluster()
				restored, err := catalog.RestoreRecord(catalog.Contents{}, time.Minute)
				require.NoError(t, err)
				setup := c.Open("setup")
				require.NoError(t, setup.Commit(t.Context(), store.Batch{Changes: []node.Record{restored}}))
				require.NoError(t, setup.Close())

				a := start(t, withStore(c.Open("a")))
				a.createNode(t)
				time.Sleep(50 * time.Second)
				second := c.Open("b")
				var admin serverconfig.Admin
				b := start(t, withStore(second), func(c *serverconfig.Config) { c.Admin = &admin })
				second.Hold(late) // it does not learn of the end of the wait
				client := a.attach(t, 0, 2*time.Minute)
				client.requirePending("job")
				require.True(t, client.recv().GetAcquireSemaphoreResult().GetAcquired())
				time.Sleep(2 * time.Second)
				require.Equal(t, late, !admin.GrantsFrom().IsZero())
				a.stop(t)
				time.AfterFunc(time.Second, func() { second.Hold(false) })
				back := b.attach(t, client.id, 2*time.Minute)
				ask := describeMessage(1, "job")
				ask.GetDescribeSemaphore().IncludeOwners = true
				back.send(ask)
				described := back.recv().GetDescribeSemaphoreResult().GetSemaphoreDescription()
				require.Len(t, described.GetOwners(), 1)
				b.attach(t, 0, 2*time.Minute).requirePending("job")
			})
		})
	}
}
