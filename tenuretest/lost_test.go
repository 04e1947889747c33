package tenuretest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/lock"
	"tenure/tenuretest"
)

const (
	node    = "/local/app"
	timeout = 5 * time.Second
)

// session opens a session of the client on a node that exists.
func session(t *testing.T, c *tenure.Client) *tenure.Session {
	t.Helper()
	require.NoError(t, c.CreateNode(t.Context(), node, coordination.NodeConfig{}))
	s, err := c.Session(t.Context(), node, options.WithSessionTimeout(timeout))
	require.NoError(t, err)

	return s.(*tenure.Session)
}

// take acquires the semaphore "job".
func take(t *testing.T, s *tenure.Session) *tenure.Lease {
	t.Helper()
	lease, err := s.AcquireSemaphore(t.Context(), "job", coordination.Exclusive, options.WithEphemeral(true))
	require.NoError(t, err)

	return lease.(*tenure.Lease)
}

// queue acquires the semaphore "job" in a goroutine. It returns when the acquire waits in the queue.
func queue(t *testing.T, s *tenure.Session) <-chan *tenure.Lease {
	t.Helper()
	granted := make(chan *tenure.Lease, 1)
	go func() {
		lease, err := s.AcquireSemaphore(t.Context(), "job", coordination.Exclusive, options.WithEphemeral(true))
		if err == nil {
			granted <- lease.(*tenure.Lease)
		}
	}()
	for {
		d, err := s.DescribeSemaphore(t.Context(), "job", options.WithDescribeWaiters(true))
		require.NoError(t, err)
		if len(d.Waiters) > 0 {
			return granted
		}
	}
}

// A whole test of how a program reacts to a lost lock.
func TestProgram_StopsWhenItLosesTheLock(t *testing.T) {
	srv := tenuretest.NewServer(t)
	client, started, lost := srv.Client(t), make(chan struct{}), make(chan error)
	program := func(ctx context.Context, _ *lock.Held) error {
		close(started)
		<-ctx.Done()

		return nil
	}
	go func() { lost <- lock.Do(t.Context(), client, "/local/app", "job", program) }()
	<-started
	srv.Partition(client)
	srv.Advance(20 * time.Second)
	require.ErrorIs(t, <-lost, lock.ErrLost)
}

// A client that is cut off loses its lease at its deadline, before the server grants the semaphore to a rival. The
// rival keeps its session meanwhile. The moments at which the network is cut vary.
func TestServer_PartitionOrder(t *testing.T) {
	const rounds = 10
	srv := tenuretest.NewServer(t)
	rival := session(t, srv.Client(t))
	for round := range rounds {
		client := srv.Client(t)
		holder := session(t, client)
		lease := take(t, holder)
		granted := queue(t, rival)

		srv.Advance(time.Duration(round) * timeout / rounds)
		require.True(t, lease.Valid())
		srv.Partition(client)
		for steps := 0; ; steps++ {
			require.Less(t, steps, 100, "the rival is never granted the semaphore")
			wasValid := lease.Valid()
			srv.Advance(timeout / 20)
			owner, held := srv.Holder("job")
			require.True(t, held)
			if owner.Session != holder.SessionID() {
				require.False(t, wasValid, "before the step in which the rival is granted the semaphore")
				require.Equal(t, rival.SessionID(), owner.Session)

				break
			}
		}
		require.ErrorIs(t, context.Cause(lease.Context()), tenure.ErrDeadlinePassed)
		require.NoError(t, (<-granted).Release())
	}
}

// However far the clock jumps, every client that reaches the server keeps its lease and its session.
func TestServer_AdvanceKeepsHealthyClients(t *testing.T) {
	srv := tenuretest.NewServer(t)
	var leases []*tenure.Lease
	for range 3 {
		s := session(t, srv.Client(t))
		lease, err := s.AcquireSemaphore(t.Context(), time.Duration(s.SessionID()).String(), coordination.Exclusive,
			options.WithEphemeral(true))
		require.NoError(t, err)
		leases = append(leases, lease.(*tenure.Lease))
	}
	for _, d := range []time.Duration{0, 1, timeout, time.Minute} {
		began := leases[0].Deadline()
		srv.Advance(d)
		for _, lease := range leases {
			require.True(t, lease.Valid())
		}
		require.GreaterOrEqual(t, leases[0].Deadline().Sub(began), d-timeout, "no time has passed")
	}
}

// Clients whose connections break, or whose server restarts, find their way back while time passes.
func TestServer_AdvanceWaitsForClientsToComeBack(t *testing.T) {
	faults := map[string]func(*tenuretest.Server, *tenure.Client){
		"streams dropped": func(s *tenuretest.Server, _ *tenure.Client) { s.DropStreams() },
		"restart":         func(s *tenuretest.Server, _ *tenure.Client) { s.Restart() },
		"crash":           func(s *tenuretest.Server, _ *tenure.Client) { s.Kill(); s.Restart() },
		"healed": func(s *tenuretest.Server, c *tenure.Client) {
			s.Partition(c)
			s.Advance(timeout * 3 / 4)
			s.Heal(c)
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			srv := tenuretest.NewServer(t)
			client := srv.Client(t)
			lease := take(t, session(t, client))
			fault(srv, client)
			srv.Advance(3 * timeout)
			require.True(t, lease.Valid())
			require.NoError(t, lease.Release())
		})
	}
}

// When the server is down, leases end at their deadlines.
func TestServer_KillEndsLeases(t *testing.T) {
	srv := tenuretest.NewServer(t)
	lease := take(t, session(t, srv.Client(t)))
	srv.Kill()
	_, held := srv.Holder("job")
	require.False(t, held)
	require.Zero(t, srv.ExpireSessions())
	srv.Advance(timeout / 2)
	require.True(t, lease.Valid())
	srv.Advance(timeout / 2)
	require.False(t, lease.Valid())
	require.ErrorIs(t, context.Cause(lease.Context()), tenure.ErrDeadlinePassed)
}

// Expire takes the semaphore from its owner, who knows it when Expire returns, and gives it to the waiter.
func TestServer_Expire(t *testing.T) {
	srv := tenuretest.NewServer(t)
	holder, rival := session(t, srv.Client(t)), session(t, srv.Client(t))
	lease, granted := take(t, holder), queue(t, rival)
	before, held := srv.Holder("job")
	require.True(t, held)
	require.Equal(t, holder.SessionID(), before.Session)

	require.Equal(t, 1, srv.Expire("job"))
	require.ErrorIs(t, context.Cause(lease.Context()), tenure.ErrSessionExpired)
	require.NotNil(t, <-granted)
	after, held := srv.Holder("job")
	require.True(t, held)
	require.Equal(t, rival.SessionID(), after.Session)
	require.Greater(t, after.Token, before.Token)

	require.Zero(t, srv.Expire("another"))
	require.NoError(t, rival.Context().Err())
	require.Equal(t, 1, srv.ExpireSessions())
	require.ErrorIs(t, context.Cause(rival.Context()), tenure.ErrSessionExpired)
	_, held = srv.Holder("job")
	require.False(t, held)
}

// A session can be ended while its client is cut off. The client believes in its lease until its deadline, and learns
// what has happened when it is healed.
func TestServer_ExpireDuringPartition(t *testing.T) {
	srv := tenuretest.NewServer(t)
	client := srv.Client(t)
	lease, granted := take(t, session(t, client)), queue(t, session(t, srv.Client(t)))
	srv.Partition(client)
	require.Equal(t, 1, srv.Expire("job"))
	require.NotNil(t, <-granted)
	require.True(t, lease.Valid(), "nothing can have told the client")
	srv.Heal(client)
	<-lease.Context().Done()
	require.ErrorIs(t, context.Cause(lease.Context()), tenure.ErrSessionExpired)
}

// A detached session can be ended before its timeout.
func TestServer_ExpireDetached(t *testing.T) {
	srv := tenuretest.NewServer(t)
	lease := take(t, session(t, srv.Client(t)))
	srv.Kill()
	srv.Restart()
	require.Equal(t, 1, srv.ExpireSessions())
	<-lease.Context().Done()
	require.ErrorIs(t, context.Cause(lease.Context()), tenure.ErrSessionExpired)
}

// Work that needs time to stop has it on the moved clock too.
func TestServer_AdvanceGrace(t *testing.T) {
	srv := tenuretest.NewServer(t)
	client := srv.Client(t)
	started, remaining := make(chan struct{}), make(chan time.Duration, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- lock.Do(t.Context(), client, node, "job", func(ctx context.Context, held *lock.Held) error {
			close(started)
			<-ctx.Done()
			remaining <- held.Remaining()

			return nil
		}, lock.WithTimeout(timeout), lock.WithGrace(timeout/4))
	}()
	<-started
	srv.Partition(client)
	srv.Advance(timeout * 8 / 10)
	left := <-remaining
	require.Positive(t, left)
	require.LessOrEqual(t, left, timeout/4)
	require.ErrorIs(t, <-ended, lock.ErrLost)
}

func TestServer_PartitionOfStranger(t *testing.T) {
	srv, err := tenuretest.Start()
	require.NoError(t, err)
	require.Panics(t, func() { srv.Partition(nil) })
	require.NoError(t, srv.Close())
	require.NoError(t, srv.Close())
}

// BenchmarkServer_Advance shows how long a test waits for a lease at the default timeout to be lost.
func BenchmarkServer_Advance(b *testing.B) {
	srv := tenuretest.NewServer(b)
	for b.Loop() {
		b.StopTimer()
		client := srv.Client(b)
		require.NoError(b, client.CreateNode(b.Context(), node, coordination.NodeConfig{}))
		s, err := client.Session(b.Context(), node, options.WithSessionTimeout(10*time.Second))
		require.NoError(b, err)
		srv.Partition(client)
		b.StartTimer()
		srv.Advance(10 * time.Second)
		b.StopTimer()
		require.Error(b, s.Context().Err())
		b.StartTimer()
	}
}
