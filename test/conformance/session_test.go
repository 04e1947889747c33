package conformance_test

import (
	"context"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/tenuretest"
)

// A4, A5: a session with every option, at its limit where it has one; ids count up.
func (s *suite) sessionOptions() {
	first := s.session(
		options.WithDescription(strings.Repeat("d", 1_024)),
		options.WithSessionTimeout(30*time.Minute),
		options.WithSessionStartTimeout(5*time.Second),
		options.WithSessionStopTimeout(5*time.Second),
		options.WithSessionKeepAliveTimeout(15*time.Second),
		options.WithSessionReconnectDelay(time.Millisecond),
	)
	require.EqualValues(s, 1, first.SessionID())
	require.NoError(s, first.Context().Err())
	s.semaphore(first, "job", 1)
	require.EqualValues(s, 2, s.session().SessionID())

	plain, err := s.client.Session(s.ctx, node)
	require.NoError(s, err)
	require.EqualValues(s, 3, plain.SessionID())
	s.release(s.acquire(plain, "job", 1))
}

// The context of the call is not the session's.
func (s *suite) sessionOutlivesCall() {
	ctx, cancel := context.WithCancel(s.ctx)
	session, err := s.client.Session(ctx, node)
	require.NoError(s, err)
	cancel()
	s.release(s.acquire(session, "job", 1, options.WithEphemeral(true)))
	require.NoError(s, session.Context().Err())
}

// A3: there is no session without a node.
func (s *suite) sessionOnMissingNode() {
	ctx := s.ctx
	if s.faulty("opening a session on a missing node never returns an error, and spins") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(s.ctx, 100*time.Millisecond)
		defer cancel()
	}
	_, err := s.client.Session(ctx, "/local/none")
	require.Error(s, err)
	if !s.official {
		require.True(s, ydb.IsOperationErrorNotFoundError(err), "%v", err)
	}
}

// Close ends all that the session has and waits for, and others get it at once.
func (s *suite) sessionClose() {
	timeout := outliving
	if s.faulty("Close leaves the session on the server to its timeout") {
		timeout = time.Second
	}
	holder, other := s.session(options.WithSessionTimeout(timeout)), s.session()
	s.semaphore(holder, "job", 1)
	s.semaphore(other, "taken", 1)
	s.acquire(other, "taken", 1)
	lease := s.acquire(holder, "job", 1)
	waiting, next := s.queue(holder, "taken", 1), s.queue(other, "job", 1)

	require.NoError(s, holder.Close(s.ctx))
	require.Error(s, holder.Context().Err())
	require.Error(s, lease.Context().Err())
	require.ErrorIs(s, receive(s, waiting).err, coordination.ErrSessionClosed)
	s.granted(next)

	_, err := holder.AcquireSemaphore(s.ctx, "job", 1)
	require.ErrorIs(s, err, coordination.ErrSessionClosed)
	_, err = holder.DescribeSemaphore(s.ctx, "job")
	require.ErrorIs(s, err, coordination.ErrSessionClosed)
	require.ErrorIs(s, holder.CreateSemaphore(s.ctx, "new", 1), coordination.ErrSessionClosed)
	require.ErrorIs(s, holder.UpdateSemaphore(s.ctx, "job"), coordination.ErrSessionClosed)
	require.ErrorIs(s, holder.DeleteSemaphore(s.ctx, "job"), coordination.ErrSessionClosed)
	require.ErrorIs(s, lease.Release(), coordination.ErrSessionClosed)
	require.NoError(s, holder.Close(s.ctx), "twice")
	holder.Reconnect()
}

// A6, Q6, Q7: a new stream changes nothing: session, lease, and the place in the queue are what they were.
func (s *suite) sessionReconnect() {
	holder, first, second := s.session(), s.session(), s.session()
	ids := idsOf(holder, first, second)
	s.semaphore(holder, "job", 1)
	lease := s.acquire(holder, "job", 1)
	one, two := s.queue(first, "job", 1), s.queue(second, "job", 1)
	before := s.describe(second, "job")

	for _, session := range []coordination.Session{holder, first} {
		lost := s.watch(session, "job", options.WatchData)
		session.Reconnect()
		require.Equal(s, options.SemaphoreWatchEvent{Lost: true}, receive(s, lost))
		require.Equal(s, before, s.describe(session, "job"))
	}
	require.NoError(s, lease.Context().Err())

	s.release(lease)
	lease = s.granted(one)
	require.True(s, s.waits(second, "job"))
	s.release(lease)
	s.granted(two)
	require.Equal(s, ids, idsOf(holder, first, second))
}

// A10, A12, P2: a session of which nothing is heard any more expires, at its timeout and not before.
func (s *suite) sessionExpires(fail func(*relay)) {
	const timeout = 2 * time.Second
	network := newRelay(s.T, s.server)
	holder := s.sessionOf(s.open(s.T, network.dsn()), options.WithSessionTimeout(timeout),
		options.WithSessionStartTimeout(100*time.Millisecond), options.WithSessionKeepAliveTimeout(timeout))
	other := s.session()
	s.semaphore(other, "job", 1)
	lease := s.acquire(holder, "job", 1)
	next := s.queue(other, "job", 1)

	failed := time.Now() // nothing is heard from here on, so that the timeout starts later
	fail(network)
	s.granted(next)
	require.GreaterOrEqual(s, time.Since(failed), timeout)
	s.ends(lease.Context())
	s.ends(holder.Context())
}

// A13: after a fault that clients get over within their timeouts, everything is as it was, queues included.
func (s *suite) sessionSurvives(fault func(*tenuretest.Server)) {
	holder, first, second, watcher := s.session(), s.session(), s.session(), s.session()
	ids := idsOf(holder, first, second)
	require.NoError(s, holder.CreateSemaphore(s.ctx, "slots", 5, options.WithCreateData([]byte("about slots"))))
	slots := s.acquire(holder, "slots", 3, options.WithAcquireData([]byte("about three")))
	lock := s.acquire(holder, "lock", coordination.Exclusive, options.WithEphemeral(true))
	one := s.queue(first, "lock", coordination.Exclusive, options.WithEphemeral(true))
	two := s.queue(second, "lock", 1, options.WithEphemeral(true), options.WithAcquireTimeout(outliving))
	beforeSlots, beforeLock := s.describe(watcher, "slots"), s.describe(watcher, "lock")
	lost := s.watch(watcher, "slots", options.WatchOwners)

	fault(s.server)
	require.Equal(s, options.SemaphoreWatchEvent{Lost: true}, receive(s, lost))
	require.Equal(s, beforeSlots, s.describe(watcher, "slots"))
	require.Equal(s, beforeLock, s.describe(watcher, "lock"))
	require.NoError(s, slots.Context().Err())
	require.NoError(s, lock.Context().Err())

	s.release(lock)
	lock = s.granted(one)
	require.True(s, s.waits(second, "lock"))
	s.release(lock)
	s.granted(two)
	s.release(slots)
	require.Zero(s, s.describe(watcher, "slots").Count)
	require.Equal(s, ids, idsOf(holder, first, second))
}

// A13, N5: a session that does not come back after a restart has its timeout and the node's grace.
func (s *suite) sessionGrace() {
	const timeout, grace = time.Second, 1_500 * time.Millisecond
	require.NoError(s, s.client.AlterNode(s.ctx, node, coordination.NodeConfig{
		SelfCheckPeriodMillis: 500, SessionGracePeriodMillis: 1, // the grace is used as self check + 1 s
	}))
	network := newRelay(s.T, s.server)
	holder := s.sessionOf(s.open(s.T, network.dsn()), options.WithSessionTimeout(timeout))
	other := s.session()
	s.semaphore(other, "job", 1)
	s.acquire(holder, "job", 1)
	next := s.queue(other, "job", 1)

	s.server.Kill()
	network.cut()
	restarted := time.Now()
	s.server.Restart()
	s.granted(next)
	require.GreaterOrEqual(s, time.Since(restarted), timeout+grace)
}
