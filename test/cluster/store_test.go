package cluster_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
	"tenure/internal/store/etcdstore"
	"tenure/internal/store/storetest"
)

// open opens a store. Its server may claim spaces from others that are gone immediately.
func open(t *testing.T, c *clientv3.Client, prefix string) *etcdstore.Store {
	t.Helper()
	s, err := etcdstore.Open(t.Context(), etcdstore.Options{Client: c, Prefix: prefix, Settle: time.Nanosecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	return s
}

func commit(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	require.NoError(t, s.Commit(t.Context(), store.Batch{Space: 1, Changes: []node.Record{storetest.Put(key, value)}}))
}

// requireReady waits until the store is not ready for that reason, or, if it is empty, until it is ready.
func requireReady(t *testing.T, s *etcdstore.Store, reason string) {
	t.Helper()
	require.Eventually(t, func() bool {
		err := s.Ready()

		return reason == "" && err == nil || reason != "" && err != nil && strings.Contains(err.Error(), reason)
	}, time.Minute, 10*time.Millisecond)
}

func TestStore_PassesTheSuite(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c := m.client()
	disk := func(*testing.T) func() (store.Store, error) {
		prefix := m.prefix()

		return func() (store.Store, error) {
			return etcdstore.Open(t.Context(), etcdstore.Options{Client: c, Prefix: prefix, Settle: time.Nanosecond})
		}
	}
	traits := storetest.Traits{Shared: true, NoReuse: true}
	t.Run("suite", func(t *testing.T) {
		t.Parallel()
		storetest.RunTraits(t, disk, traits)
	})
	t.Run("common", func(t *testing.T) {
		t.Parallel()
		storetest.RunCommon(t, func(t *testing.T) func() (store.Common, error) {
			t.Helper()
			open := disk(t)

			return func() (store.Common, error) {
				s, err := open()
				if err != nil {
					return nil, err
				}

				return s.(store.Common), nil
			}
		})
	})
	t.Run("model", func(t *testing.T) {
		t.Parallel()
		storetest.RunModelTraits(t, disk, traits)
	})
}

func TestStore_IsFenced(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	a, b := open(t, c, prefix), open(t, c, prefix)
	require.NoError(t, a.Claim(t.Context(), 1))
	commit(t, a, "k", "1")
	var owned *store.OwnedError
	require.ErrorAs(t, b.Claim(t.Context(), 1), &owned, "the owner is alive")

	_, err := c.Delete(t.Context(), prefix+ownership.ServerKey(owned.Server)) // as if it had died
	require.NoError(t, err)
	require.NoError(t, b.Claim(t.Context(), 1))
	require.Equal(t, []string{`"k"="1"`}, storetest.Records(t, b, 1))
	require.ErrorIs(t, a.Confirm(t.Context(), 1), store.ErrFenced)
	require.ErrorIs(t, a.Commit(t.Context(), store.Batch{Space: 1}), store.ErrFenced)
	require.NoError(t, b.Confirm(t.Context(), 1))
	commit(t, b, "k", "2")

	require.NoError(t, a.Claim(t.Context(), 2), "a registers again")
	require.NoError(t, b.Close())
	require.NoError(t, a.Claim(t.Context(), 1), "b has handed it over")
	require.Equal(t, []string{`"k"="2"`}, storetest.Records(t, a, 1))
}

func TestStore_Drop(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	s := open(t, c, prefix)
	require.NoError(t, s.Claim(t.Context(), 1))
	require.NoError(t, s.Claim(t.Context(), store.Catalog))
	for i := range 1_500 {
		commit(t, s, fmt.Sprint(i%700), "v")
	}
	require.NoError(t, s.Commit(t.Context(), store.Batch{Drop: []store.Space{1}}))
	require.ErrorIs(t, s.Confirm(t.Context(), 1), store.ErrDropped)
	require.ErrorIs(t, s.Claim(t.Context(), 1), store.ErrDropped)
	require.Empty(t, storetest.Records(t, s, 1))
	require.Eventually(t, func() bool {
		left := 0
		for _, below := range []string{"r/", "j/0000000000000001/", "f/", "d/"} {
			r, err := c.Get(t.Context(), prefix+below, clientv3.WithPrefix(), clientv3.WithCountOnly())
			require.NoError(t, err)
			left += int(r.Count)
		}

		return left == 0
	}, time.Minute, 10*time.Millisecond, "the records are deleted")
}

// TestStore_WaitsForEtcd stops etcd while a batch is being committed. The calls wait, and go on when etcd does.
func TestStore_WaitsForEtcd(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	prefix := m.prefix()
	s, other := open(t, m.client(), prefix), open(t, m.client(), prefix)
	require.NoError(t, s.Claim(t.Context(), 1))
	require.NoError(t, other.Claim(t.Context(), 2))
	commit(t, s, "k", "1")

	m.signal(syscall.SIGSTOP)
	errs := make(chan error, 2)
	go func() {
		errs <- s.Commit(t.Context(), store.Batch{Space: 1, Changes: []node.Record{storetest.Put("k", "2")}})
	}()
	go func() { errs <- s.Confirm(t.Context(), 1) }()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // longer than an attempt
	defer cancel()
	require.ErrorIs(t, s.Confirm(ctx, 1), context.DeadlineExceeded)
	require.Empty(t, errs)
	began := time.Now()
	require.NoError(t, other.Close())
	require.Less(t, time.Since(began), 2*time.Second, "a server that stops does not wait for etcd")
	requireReady(t, s, "etcd has not answered for 5s: check that it runs and has a quorum")
	m.signal(syscall.SIGCONT)
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	requireReady(t, s, "")
	require.Equal(t, []string{`"k"="2"`}, storetest.Records(t, s, 1))
}

// TestStore_WaitsForSpace fills etcd up. The transaction that exceeds its space is carried out, although etcd reports
// that it was not.
func TestStore_WaitsForSpace(t *testing.T) {
	t.Parallel()
	m := startMember(t, "--quota-backend-bytes", fmt.Sprint(8<<20))
	c := m.client()
	s := open(t, c, m.prefix())
	require.NoError(t, s.Claim(t.Context(), 1))
	done := make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		for ; n < 100; n++ {
			r := node.Record{Key: fmt.Append(nil, n), Value: bytes.Repeat([]byte("x"), 1<<19)}
			if s.Commit(t.Context(), store.Batch{Space: 1, Changes: []node.Record{r}}) != nil {
				return
			}
		}
	}()
	for alarmed := false; !alarmed; {
		r, err := c.AlarmList(t.Context())
		require.NoError(t, err)
		alarmed = len(r.Alarms) > 0
	}
	require.NoError(t, s.Confirm(t.Context(), 1), "reads go on")
	requireReady(t, s, "etcd is out of space and accepts nothing")
	require.Empty(t, done, "the commits wait")
	require.NoError(t, s.Close())
	n := <-done
	require.Less(t, n, 100)
}

func TestStore_Members(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	start := func(peer string) *etcdstore.Store {
		s, err := etcdstore.Open(t.Context(), etcdstore.Options{
			Client: c, Prefix: prefix, Database: "/local",
			Member: store.Member{Address: "grpc://balancer:1", Peer: peer, Since: 1},
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })

		return s
	}
	a, b := start("a:1"), start("b:1")
	require.NotEqual(t, a.Self().ID, b.Self().ID)
	require.Equal(t, "a:1", a.Self().At())
	require.NotEmpty(t, a.Secret())
	require.Equal(t, a.Secret(), b.Secret())
	requireLiving := func(want ...store.Member) {
		slices.SortFunc(want, func(a, b store.Member) int { return cmp.Compare(a.ID, b.ID) })
		require.Eventually(t, func() bool {
			have, err := a.Living(t.Context())
			require.NoError(t, err)

			return slices.Equal(want, have)
		}, time.Minute, time.Millisecond)
	}
	requireLiving(a.Self(), b.Self())
	have, alive, err := a.Member(t.Context(), b.Self().ID)
	require.NoError(t, err)
	require.True(t, alive)
	require.Equal(t, b.Self(), have)

	require.NoError(t, b.Close())
	requireLiving(a.Self())
	_, alive, err = a.Member(t.Context(), b.Self().ID)
	require.NoError(t, err)
	require.False(t, alive)

	_, err = etcdstore.Open(t.Context(), etcdstore.Options{Client: c, Prefix: prefix, Database: "/other"})
	require.ErrorContains(t, err, `the prefix belongs to servers of the database "/local", and this one has "/other"`)
}
