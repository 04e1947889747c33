package cluster_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/ownership"
	"tenure/internal/store/etcdstore"
	"tenure/internal/store/storetest"
)

// One of several servers compacts etcd, to a revision that is an interval old. If it stops, another one does it. What
// the servers keep and follow is not affected.
func TestStore_Compacts(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	type done struct {
		server   int
		at       time.Time
		revision int64
	}
	var mu sync.Mutex // guards all
	var all []done
	seen := func() []done {
		mu.Lock()
		defer mu.Unlock()

		return append([]done(nil), all...)
	}
	var stores []*etcdstore.Store
	for i := range 3 {
		s, err := etcdstore.Open(t.Context(), etcdstore.Options{
			Client: m.client(), Prefix: prefix, Settle: time.Nanosecond, Compact: interval,
			Compacted: func(revision int64, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					all = append(all, done{i, time.Now(), revision})
				}
			},
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		stores = append(stores, s)
	}
	require.NoError(t, stores[0].Claim(t.Context(), 1))
	began := time.Now()
	times := make(map[int64]time.Time) // before a revision was there
	for i := 0; len(seen()) < 5; i++ {
		before := time.Now()
		commit(t, stores[0], fmt.Sprint("k", i%10), fmt.Sprint(i))
		r, err := c.Get(t.Context(), "x")
		require.NoError(t, err)
		times[r.Header.Revision] = before
		require.Less(t, time.Since(began), time.Minute)
	}
	first, last := seen()[0], seen()[len(seen())-1]
	for i, d := range seen()[1:] {
		require.Greater(t, d.revision, seen()[i].revision)
	}
	// Each of them may be seen late. Servers that do not take turns need half of the time.
	require.GreaterOrEqual(t, last.at.Sub(first.at), time.Duration(len(seen())-2)*interval,
		"two servers have compacted in one interval")
	for revision, before := range times {
		if revision == last.revision+1 {
			require.GreaterOrEqual(t, last.at.Sub(before), interval*9/10)
		}
	}
	_, err := c.Get(t.Context(), "x", clientv3.WithRev(last.revision-1))
	require.ErrorIs(t, err, rpctypes.ErrCompacted)
	require.Len(t, storetest.Records(t, stores[0], 1), 10)
	living, err := stores[1].Living(t.Context())
	require.NoError(t, err)
	require.Len(t, living, 3)

	require.NoError(t, stores[last.server].Close())
	require.Eventually(t, func() bool {
		all := seen()

		return all[len(all)-1].server != last.server
	}, time.Minute, interval)
	_, err = c.Get(t.Context(), prefix+ownership.OwnerKey(1))
	require.NoError(t, err)
}
