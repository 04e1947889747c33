package cluster_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/store"
	"tenure/internal/store/etcdstore"
	"tenure/internal/store/storetest"
)

// A space that is handed over is left to the server that should have it, as long as that lives and serves it.
func TestStore_HandsOver(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	x, y, z := open(t, c, prefix), open(t, c, prefix), open(t, c, prefix)
	left := func(s *etcdstore.Store, terms store.Terms, to *etcdstore.Store) {
		t.Helper()
		var owned *store.OwnedError
		require.ErrorAs(t, s.ClaimUnder(t.Context(), 1, terms), &owned)
		require.Equal(t, to.Self().ID, owned.Server)
	}
	left(x, store.Terms{Target: y.Self().ID}, y)
	require.NoError(t, x.ClaimUnder(t.Context(), 1, store.Terms{Target: y.Self().ID, Avoid: []string{y.Self().ID}}))
	commit(t, x, "k", "1")
	left(y, store.Terms{}, x)

	require.NoError(t, x.Release(t.Context(), 1, y.Self().ID))
	require.Error(t, x.Confirm(t.Context(), 1))
	require.Error(t, x.Commit(t.Context(), store.Batch{Space: 1}))
	left(x, store.Terms{}, y)
	left(z, store.Terms{Target: x.Self().ID}, y)
	require.NoError(t, y.Claim(t.Context(), 1))
	commit(t, y, "k", "2")
	require.NoError(t, y.Release(t.Context(), 1, z.Self().ID))
	require.NoError(t, y.Release(t.Context(), 1, z.Self().ID), "it has none")
	require.NoError(t, x.ClaimUnder(t.Context(), 1, store.Terms{Avoid: []string{z.Self().ID}}))
	require.Equal(t, []string{`"k"="2"`}, storetest.Records(t, x, 1))

	require.NoError(t, x.Release(t.Context(), 1, z.Self().ID))
	require.NoError(t, z.Close())
	require.NoError(t, y.Claim(t.Context(), 1), "the target is gone")
	require.NoError(t, y.Release(t.Context(), 1, ""))
	require.NoError(t, x.Claim(t.Context(), 1))
	require.NoError(t, x.Release(t.Context(), 1, x.Self().ID))
	require.NoError(t, x.Claim(t.Context(), 1))
}

// A server that was removed while it lives registers again. Others can claim what it owns in between.
func TestStore_Remove(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	var lost atomic.Int64
	x, err := etcdstore.Open(t.Context(), etcdstore.Options{
		Client: c, Prefix: prefix, Settle: time.Nanosecond, Unregistered: func() { lost.Add(1) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	require.NoError(t, x.Claim(t.Context(), 1))
	require.NoError(t, x.Claim(t.Context(), 2))
	y, err := etcdstore.Open(t.Context(), etcdstore.Options{Client: c, Prefix: prefix, Settle: time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, y.Close()) })

	require.Eventually(t, func() bool { // unless it has registered again in between
		was, err := y.Remove(t.Context(), x.Self().ID)
		require.NoError(t, err)
		require.True(t, was)

		return y.Claim(t.Context(), 1) == nil
	}, time.Minute, time.Millisecond, "although others that seem to be gone are waited for")
	was, err := y.Remove(t.Context(), "nobody")
	require.NoError(t, err)
	require.False(t, was)
	alive := func() bool {
		_, alive, err := y.Member(t.Context(), x.Self().ID)
		require.NoError(t, err)

		return alive
	}
	require.Eventually(t, alive, time.Minute, time.Millisecond)
	require.NotZero(t, lost.Load())
	require.ErrorIs(t, x.Confirm(t.Context(), 1), store.ErrFenced)
	require.NoError(t, x.Confirm(t.Context(), 2), "nobody has claimed it")
	require.NoError(t, x.Claim(t.Context(), 3))

	require.NoError(t, x.Leave(t.Context()))
	require.Eventually(t, func() bool {
		m, _, err := y.Member(t.Context(), x.Self().ID)
		require.NoError(t, err)

		return m.Leaving
	}, time.Minute, time.Millisecond)
}

// A server takes the place of one with the same address. If that lives, both go on.
func TestStore_SameAddress(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	var lost atomic.Int64
	start := func(address string) *etcdstore.Store {
		s, err := etcdstore.Open(t.Context(), etcdstore.Options{
			Client: c, Prefix: prefix, Settle: time.Hour, Member: store.Member{Address: address},
			Unregistered: func() { lost.Add(1) },
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })

		return s
	}
	x, other := start("grpc://a:1"), start("grpc://b:1")
	require.NoError(t, x.Claim(t.Context(), 1))
	require.NoError(t, other.Claim(t.Context(), 2))
	next := start("grpc://a:1")
	_ = next.Claim(t.Context(), 1) // it succeeds unless the first one was quick
	require.Eventually(t, func() bool {
		all, err := next.Living(t.Context())
		require.NoError(t, err)

		return len(all) == 3
	}, time.Minute, time.Millisecond)
	require.Equal(t, int64(1), lost.Load())
	time.Sleep(time.Second)
	require.Equal(t, int64(1), lost.Load(), "they do not remove each other again and again")
	require.NoError(t, other.Confirm(t.Context(), 2))
}
