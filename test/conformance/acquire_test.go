package conformance_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"golang.org/x/sync/errgroup"
)

// Q5, Q8, Q9: one session owns the semaphore, the others queue, and each release grants it to the first waiter.
func (s *suite) acquireExclusive() {
	holder, first, second := s.session(), s.session(), s.session()
	s.semaphore(holder, "job", 1)
	lease := s.acquire(holder, "job", 1, options.WithAcquireData([]byte("held")))
	require.Equal(s, holder, lease.Session())
	one := s.queue(first, "job", 1, options.WithAcquireData([]byte("soon")), options.WithAcquireTimeout(outliving))
	two := s.queue(second, "job", 1, options.WithAcquireInfiniteTimeout())

	d := s.describe(holder, "job")
	require.Len(s, d.Owners, 1)
	require.Len(s, d.Waiters, 2)
	owner := *d.Owners[0]
	owner.Timeout = 0 // has no meaning for an owner
	require.Equal(s, coordination.SemaphoreSession{
		SessionID: holder.SessionID(), Count: 1, OrderID: 1, Data: []byte("held"),
	}, owner)
	require.Equal(s, coordination.SemaphoreSession{
		SessionID: first.SessionID(), Count: 1, OrderID: 2, Data: []byte("soon"), Timeout: outliving,
	}, *d.Waiters[0])
	require.EqualValues(s, 3, d.Waiters[1].OrderID)
	require.Equal(s, time.Duration(math.MaxInt64), d.Waiters[1].Timeout)

	for i, next := range []<-chan acquired{one, two} {
		s.release(lease)
		lease = s.granted(next)
		d = s.describe(holder, "job")
		require.Len(s, d.Owners, 1)
		require.EqualValues(s, i+2, d.Owners[0].OrderID, "the place in the queue is the fencing token (C4)")
	}
	s.release(lease)
	require.Zero(s, s.describe(holder, "job").Count)
}

// Q9: readers share the semaphore, a writer waits for them, and a later reader does not overtake the writer.
func (s *suite) acquireShared() {
	ephemeral := options.WithEphemeral(true)
	writer, late := s.session(), s.session()
	readers := []coordination.Lease{
		s.acquire(s.session(), "table", coordination.Shared, ephemeral),
		s.acquire(s.session(), "table", coordination.Shared, ephemeral),
	}
	write := s.queue(writer, "table", coordination.Exclusive, ephemeral)
	read := s.queue(late, "table", coordination.Shared, ephemeral)
	d := s.describe(writer, "table")
	require.EqualValues(s, 2, d.Count)
	require.Equal(s, uint64(coordination.MaxSemaphoreLimit), d.Limit)
	require.Equal(s, idsOf(writer, late), linked(d.Waiters))

	for _, lease := range readers {
		require.True(s, s.waits(writer, "table"))
		s.release(lease)
	}
	lease := s.granted(write)
	require.True(s, s.waits(late, "table"))
	s.release(lease)
	s.granted(read)
}

// Q5, Q9: the owners' counts add up to at most the limit.
func (s *suite) acquireCounts() {
	one, two, three := s.session(), s.session(), s.session()
	s.semaphore(one, "slots", 5)
	lease := s.acquire(one, "slots", 2)
	s.acquire(two, "slots", 3)
	waiting := s.queue(three, "slots", 2)
	require.EqualValues(s, 5, s.describe(one, "slots").Count)

	s.release(lease)
	s.granted(waiting)
	d := s.describe(one, "slots")
	require.EqualValues(s, 5, d.Count)
	require.Equal(s, idsOf(two, three), linked(d.Owners))
	require.Equal(s, []uint64{3, 2}, []uint64{d.Owners[0].Count, d.Owners[1].Count})
}

// Q5: an acquire with timeout 0 is answered immediately and leaves no waiter. One with a longer timeout waits that long
// and then leaves the queue.
func (s *suite) acquireTimeout() {
	const timeout = 200 * time.Millisecond
	holder, first, second := s.session(), s.session(), s.session()
	s.semaphore(holder, "slots", 3)
	s.acquire(holder, "slots", 2)
	_, err := first.AcquireSemaphore(s.ctx, "slots", 2, options.WithAcquireTimeout(0))
	require.ErrorIs(s, err, coordination.ErrAcquireTimeout)
	require.Empty(s, s.describe(holder, "slots").Waiters)

	began := time.Now()
	waiting, behind := make(chan acquired, 1), make(chan acquired, 1)
	go func() { // not queue: the timeout may pass before queue sees the waiter
		lease, err := first.AcquireSemaphore(s.ctx, "slots", 2, options.WithAcquireTimeout(timeout))
		waiting <- acquired{lease, err}
	}()
	go func() { // usually queues second; it is granted either way
		lease, err := second.AcquireSemaphore(s.ctx, "slots", 1)
		behind <- acquired{lease, err}
	}()
	require.ErrorIs(s, receive(s, waiting).err, coordination.ErrAcquireTimeout)
	require.GreaterOrEqual(s, time.Since(began), timeout)
	s.granted(behind)
	require.Empty(s, s.describe(holder, "slots").Waiters)
}

// A canceled acquire leaves the queue and no longer blocks the waiters behind it.
func (s *suite) acquireContextEnds() {
	holder, first, second := s.session(), s.session(), s.session()
	s.semaphore(holder, "slots", 3)
	s.acquire(holder, "slots", 2)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	calledOff, behind := s.queueUnder(ctx, first, "slots", 3), s.queue(second, "slots", 1)
	require.True(s, s.waits(second, "slots"), "its count fits, but it is not the first waiter")

	cancel()
	require.ErrorIs(s, receive(s, calledOff).err, context.Canceled)
	s.granted(behind)
	require.Empty(s, s.describe(holder, "slots").Waiters)
	s.acquireTakesPart(first)
}

// acquireTakesPart requires that the session can still acquire and release.
func (s *suite) acquireTakesPart(session coordination.Session) {
	s.Helper()
	s.release(s.acquire(session, "another", 1, options.WithEphemeral(true)))
}

// Q6: an owner can acquire again to lower its count and change its data, but not to raise its count.
func (s *suite) acquireAgainAsOwner() {
	holder, other := s.session(), s.session()
	s.semaphore(holder, "slots", 5)
	s.acquire(holder, "slots", 5, options.WithAcquireData([]byte("all")))
	waiting := s.queue(other, "slots", 3)

	lease := s.acquire(holder, "slots", 2, options.WithAcquireData([]byte("less")))
	s.granted(waiting)
	_, err := holder.AcquireSemaphore(s.ctx, "slots", 3)
	require.Error(s, err)
	d := s.describe(holder, "slots")
	require.Equal(s, idsOf(holder, other), linked(d.Owners))
	require.EqualValues(s, 2, d.Owners[0].Count)
	require.EqualValues(s, 1, d.Owners[0].OrderID)
	require.Equal(s, []byte("less"), d.Owners[0].Data)

	s.release(lease)
	require.EqualValues(s, 3, s.describe(holder, "slots").Count)
}

// Q7: a second acquire of a waiting session replaces the first one, which fails.
func (s *suite) acquireAgainWhileWaiting() {
	holder, first, second := s.session(), s.session(), s.session()
	s.semaphore(holder, "slots", 3)
	lease := s.acquire(holder, "slots", 3)
	earlier, behind := s.queue(first, "slots", 3), s.queue(second, "slots", 1)
	later := make(chan acquired, 1)
	go func() {
		lease, err := first.AcquireSemaphore(s.ctx, "slots", 2, options.WithAcquireData([]byte("two")))
		later <- acquired{lease, err}
	}()
	require.Error(s, receive(s, earlier).err)
	d := s.describe(holder, "slots")
	require.Equal(s, idsOf(first, second), linked(d.Waiters))
	require.EqualValues(s, 2, d.Waiters[0].Count)
	require.Equal(s, []byte("two"), d.Waiters[0].Data)

	s.release(lease)
	s.granted(later)
	s.granted(behind)
}

// Q4, Q11: an ephemeral semaphore exists from its first acquire to its last release.
func (s *suite) acquireEphemeral() {
	holder := s.session()
	lease := s.acquire(holder, "job", 2, options.WithEphemeral(true))
	d := s.describe(holder, "job")
	require.True(s, d.Ephemeral)
	require.Equal(s, uint64(coordination.MaxSemaphoreLimit), d.Limit)
	require.EqualValues(s, 2, d.Count)
	s.release(lease)

	s.semaphore(holder, "job", 1) // fails while an ephemeral semaphore has this name
	d = s.describe(holder, "job")
	require.False(s, d.Ephemeral)
	require.EqualValues(s, 1, d.Limit)
}

// Q1, Q3: a refused acquire returns an error and changes nothing.
func (s *suite) acquireRefusals() {
	session := s.session()
	s.semaphore(session, "slots", 5)
	s.acquire(session, "ephemeral", 1, options.WithEphemeral(true))
	statuses := map[string]Ydb.StatusIds_StatusCode{
		"missing":       Ydb.StatusIds_NOT_FOUND,
		"not ephemeral": Ydb.StatusIds_PRECONDITION_FAILED,
		"ephemeral":     Ydb.StatusIds_PRECONDITION_FAILED,
	}
	for name, acquire := range map[string]func() (coordination.Lease, error){
		"count 0": func() (coordination.Lease, error) { return session.AcquireSemaphore(s.ctx, "slots", 0) },
		"above the limit": func() (coordination.Lease, error) {
			return session.AcquireSemaphore(s.ctx, "slots", 6)
		},
		"missing": func() (coordination.Lease, error) { return session.AcquireSemaphore(s.ctx, "none", 1) },
		"not ephemeral": func() (coordination.Lease, error) {
			return session.AcquireSemaphore(s.ctx, "slots", 1, options.WithEphemeral(true))
		},
		"ephemeral": func() (coordination.Lease, error) {
			return session.AcquireSemaphore(s.ctx, "ephemeral", 1)
		},
		"timeout out of range": func() (coordination.Lease, error) {
			return session.AcquireSemaphore(s.ctx, "slots", 1, options.WithAcquireTimeout(25*time.Hour))
		},
		"data too large": func() (coordination.Lease, error) {
			return session.AcquireSemaphore(s.ctx, "slots", 1, options.WithAcquireData(make([]byte, 1<<20+1)))
		},
	} {
		lease, err := acquire()
		require.Error(s, err, name)
		require.Nil(s, lease, name)
		s.requireStatus(err, cmp.Or(statuses[name], Ydb.StatusIds_BAD_REQUEST))
	}
	d := s.describe(session, "slots")
	require.Zero(s, d.Count)
	require.Empty(s, d.Waiters)
	s.semaphore(session, "none", 1)
	require.EqualValues(s, 1, s.describe(session, "none").Limit, "a refused acquire created the semaphore")
}

// At most one session holds the lease and tokens only grow, even if streams break in between.
func (s *suite) acquireOneAtATime() {
	const workers, rounds = 4, 15
	var working atomic.Int32
	var last uint64 // only the holder of the lease reads and writes it
	var group errgroup.Group
	for range workers {
		session := s.session()
		group.Go(func() error {
			for i := range rounds {
				if i%5 == 4 {
					session.Reconnect()
				}
				lease, err := session.AcquireSemaphore(s.ctx, "job", coordination.Exclusive, options.WithEphemeral(true))
				if err != nil {
					return err
				}
				if n := working.Add(1); n != 1 {
					return fmt.Errorf("%d sessions hold the lease", n)
				}
				d, err := session.DescribeSemaphore(s.ctx, "job", options.WithDescribeOwners(true))
				if err != nil {
					return err
				}
				if len(d.Owners) != 1 || d.Owners[0].SessionID != session.SessionID() || d.Owners[0].OrderID <= last {
					return fmt.Errorf("owner %v of session %d after token %d", d.Owners, session.SessionID(), last)
				}
				last = d.Owners[0].OrderID
				working.Add(-1)
				if err := lease.Release(); err != nil {
					return err
				}
			}

			return nil
		})
	}
	require.NoError(s, group.Wait())
}
