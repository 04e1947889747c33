package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
)

const isCutOff = "this server cannot reach etcd, but other servers can: use one of them"

// A server that alone cannot reach the common store ends its streams, also those that attach, without waiting for its
// clients to give up. They go on at other servers when these may take the node over, and through this one as well.
func TestContact_Lost(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 3)
	direct, forwarded := all[0].attach(t, 0, time.Minute), all[1].attach(t, 0, time.Minute)
	direct.requireAcquired("a")
	forwarded.requirePending("a")
	all[0].store.Cut(true)
	attaching := all[0].open(t)
	attaching.send(startMessage(all[0].node, 0, time.Minute))
	for _, s := range []*session{direct, forwarded, attaching} {
		s.requireFailure(Ydb.StatusIds_UNAVAILABLE, isCutOff)
		s.requireEnd()
	}
	missing := all[0].open(t)
	missing.send(startMessage("/local/none", 0, time.Minute))
	missing.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the tree of nodes cannot be read now: "+isCutOff)

	early := all[0].open(t)
	early.send(startMessage(all[0].node, 0, time.Minute))
	early.requireFailure(Ydb.StatusIds_UNAVAILABLE, "no server of the cluster serves the coordination node at the moment")

	all[0].store.Vanish()
	back, waiter := all[2].attach(t, direct.id, time.Minute), all[0].attach(t, forwarded.id, time.Minute)
	waiter.requirePending("a")
	back.requireReleased("a")
	require.True(t, waiter.recv().GetAcquireSemaphoreResult().GetAcquired())

	all[0].store.Return()
	all[0].store.Cut(false)
	waiter.requireReleased("a") // the stream stays where it is
	all[0].attach(t, 0, time.Minute).requireAcquired("a")
}

// While no server reaches the common store, all keep their streams. These go on when the store answers.
func TestContact_Nobody(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 2)
	s := all[0].attach(t, 0, time.Minute)
	for _, m := range all {
		m.store.Cut(true)
	}
	s.send(acquireMessage(1, "a", 0))
	attaching := all[1].open(t)
	attaching.send(startMessage(all[0].node, 0, time.Minute))
	s.keep()
	attaching.keep()
	const looks = 3
	for _, m := range all {
		require.Eventually(t, func() bool { return m.store.Asked() >= 2*looks }, time.Minute, 10*time.Millisecond)
	}
	for _, m := range all {
		m.store.Cut(false)
	}
	got := s.recv()
	require.Equal(t, uint64(1), got.GetAcquireSemaphoreResult().GetReqId(), got)
	got = attaching.recv()
	require.NotZero(t, got.GetSessionStarted().GetSessionId(), got)
}

// A person who asks for the status learns soon that the common store is away, and what to do.
func TestContact_Status(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second) // tenure status gives up after 10 s
	defer cancel()
	s := all[0].attach(t, 0, time.Minute)
	all[0].store.Cut(true)
	s.requireFailure(Ydb.StatusIds_UNAVAILABLE, isCutOff)
	_, err := all[0].server.Status(ctx)
	require.ErrorContains(t, err, "status: "+isCutOff)
	all[1].store.Cut(true)
	_, err = all[1].server.Status(ctx)
	require.ErrorContains(t, err, "status: etcd does not answer this server within 2s: check that etcd runs")
}
