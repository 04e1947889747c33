package conformance_test

import (
	"context"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
)

// A4, A5: a session accepts every option, each at its limit where it has one. Session ids grow, by more than one if a
// client has to try again on a busy machine.
func (s *suite) sessionOptions() {
	first := s.session(
		options.WithDescription(strings.Repeat("d", 1_024)),
		options.WithSessionTimeout(30*time.Minute),
		options.WithSessionStartTimeout(5*time.Second),
		options.WithSessionStopTimeout(5*time.Second),
		options.WithSessionKeepAliveTimeout(15*time.Second),
		options.WithSessionReconnectDelay(time.Millisecond),
	)
	id := first.SessionID()
	require.NotZero(s, id)
	require.NoError(s, first.Context().Err())
	s.semaphore(first, "job", 1)
	second := s.session()
	require.Greater(s, second.SessionID(), id)

	plain, err := s.client.Session(s.ctx, node)
	require.NoError(s, err)
	require.Greater(s, plain.SessionID(), second.SessionID())
	s.release(s.acquire(plain, "job", 1))
}

// The session outlives the context of the call that opened it.
func (s *suite) sessionOutlivesCall() {
	ctx, cancel := context.WithCancel(s.ctx)
	session, err := s.client.Session(ctx, node)
	require.NoError(s, err)
	cancel()
	s.release(s.acquire(session, "job", 1, options.WithEphemeral(true)))
	require.NoError(s, session.Context().Err())
}

// A3: opening a session on a missing node fails.
func (s *suite) sessionOnMissingNode() {
	ctx := s.ctx
	if s.faulty("opening a session on a missing node retries without a pause and never returns an error") {
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

// Close ends the session's leases and pending acquires, and the next waiters are granted immediately.
func (s *suite) sessionClose() {
	timeout := outliving
	if s.faulty("Close does not end the session on the server, which keeps it until its timeout") {
		timeout = brief
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
	require.NoError(s, holder.Close(s.ctx), "a second Close")
	holder.Reconnect()
}

// A6, Q6, Q7: after a reconnect the session still has its id, its lease and its place in the queue.
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

// A10, A12, P2: a session that the server no longer hears from expires at its timeout, not before.
func (s *suite) sessionExpires(fail func(*relay)) {
	const timeout = brief
	network := newRelay(s.T, s.server)
	client := s.connect(network.dsn())
	s.Cleanup(network.Cut) // otherwise the driver's Close waits 20s for a discovery call that is not answered
	holder := s.sessionOf(client, options.WithSessionTimeout(timeout),
		options.WithSessionStartTimeout(100*time.Millisecond), options.WithSessionKeepAliveTimeout(timeout))
	other := s.session()
	s.semaphore(other, "job", 1)
	lease := s.acquire(holder, "job", 1)
	next := s.queue(other, "job", 1)

	failed := time.Now() // the server hears the session for the last time after this instant
	fail(network)
	s.granted(next)
	require.GreaterOrEqual(s, time.Since(failed), timeout)
	s.ends(lease.Context())
	s.ends(holder.Context())
}

// A13: after a fault that is shorter than the session timeouts, everything is as before, including the queues.
func (s *suite) sessionSurvives(fault func(service)) {
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

// A13, N5: a session that does not come back after a restart expires after its timeout plus the node's grace period.
func (s *suite) sessionGrace() {
	const timeout, grace = brief, 1_500 * time.Millisecond
	require.NoError(s, s.client.AlterNode(s.ctx, node, coordination.NodeConfig{
		// N5: the grace period is at least the self-check period plus 1s.
		SelfCheckPeriodMillis: 500, SessionGracePeriodMillis: 1,
	}))
	network := newRelay(s.T, s.server)
	holder := s.sessionOf(s.connect(network.dsn()), options.WithSessionTimeout(timeout))
	other := s.session()
	s.semaphore(other, "job", 1)
	s.acquire(holder, "job", 1)
	next := s.queue(other, "job", 1)

	s.server.Kill()
	network.Cut()
	restarted := time.Now()
	s.server.Restart()
	s.granted(next)
	require.GreaterOrEqual(s, time.Since(restarted), timeout+grace)
}
