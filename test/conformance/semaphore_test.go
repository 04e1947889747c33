package conformance_test

import (
	"bytes"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
)

// S1 to S4: a semaphore is created, described, updated and deleted.
func (s *suite) semaphoreLife() {
	session := s.session()
	require.NoError(s, session.CreateSemaphore(s.ctx, "slots", 5, options.WithCreateData([]byte("first"))))
	require.Equal(s, &coordination.SemaphoreDescription{Name: "slots", Limit: 5, Data: []byte("first")},
		described(s.describe(session, "slots")))

	require.NoError(s, session.UpdateSemaphore(s.ctx, "slots", options.WithUpdateData([]byte("second"))))
	require.Equal(s, []byte("second"), s.describe(session, "slots").Data)
	require.NoError(s, session.UpdateSemaphore(s.ctx, "slots"))
	require.Empty(s, s.describe(session, "slots").Data)

	s.acquire(session, "slots", 2)
	s.queue(s.session(), "slots", 4)
	d, err := session.DescribeSemaphore(s.ctx, "slots")
	require.NoError(s, err)
	require.Equal(s, &coordination.SemaphoreDescription{Name: "slots", Limit: 5, Count: 2}, described(d))
	d, err = session.DescribeSemaphore(s.ctx, "slots", options.WithDescribeOwners(true))
	require.NoError(s, err)
	require.Len(s, d.Owners, 1)
	require.Empty(s, d.Waiters)
	d, err = session.DescribeSemaphore(s.ctx, "slots", options.WithDescribeWaiters(true))
	require.NoError(s, err)
	require.Empty(s, d.Owners)
	require.Len(s, d.Waiters, 1)

	s.semaphore(session, "other", 3)
	require.NoError(s, session.DeleteSemaphore(s.ctx, "other"))
	s.semaphore(session, "other", 4)
	require.EqualValues(s, 4, s.describe(session, "other").Limit)
	s.semaphore(session, "", coordination.MaxSemaphoreLimit)
	require.Equal(s, uint64(coordination.MaxSemaphoreLimit), s.describe(session, "").Limit)
}

// S1: creating a semaphore that exists does not change it. The call need not return an error.
func (s *suite) semaphoreCreateTwice() {
	session := s.session()
	require.NoError(s, session.CreateSemaphore(s.ctx, "slots", 5, options.WithCreateData([]byte("first"))))
	err := session.CreateSemaphore(s.ctx, "slots", 6, options.WithCreateData([]byte("second")))
	s.requireStatus(err, Ydb.StatusIds_ALREADY_EXISTS)
	require.Equal(s, &coordination.SemaphoreDescription{Name: "slots", Limit: 5, Data: []byte("first")},
		described(s.describe(session, "slots")))
}

// S3: a semaphore in use can be deleted only by force. Its waiters then get an error, and the owner's release has no
// effect.
func (s *suite) semaphoreDeleteInUse() {
	holder, other := s.session(), s.session()
	s.semaphore(holder, "slots", 5)
	lease := s.acquire(holder, "slots", 5)
	waiting := s.queue(other, "slots", 1)

	s.requireStatus(other.DeleteSemaphore(s.ctx, "slots"), Ydb.StatusIds_PRECONDITION_FAILED)
	require.EqualValues(s, 5, s.describe(other, "slots").Count)
	require.NoError(s, other.DeleteSemaphore(s.ctx, "slots", options.WithForceDelete(true)))
	require.Error(s, receive(s, waiting).err)
	require.NoError(s, lease.Release())

	s.semaphore(other, "slots", 2)
	require.Equal(s, &coordination.SemaphoreDescription{Name: "slots", Limit: 2},
		described(s.describe(holder, "slots")), "the release changed the new semaphore")
}

// D3: a description can be larger than a request.
func (s *suite) semaphoreBigDescription() {
	data := bytes.Repeat([]byte("d"), 1<<20)
	reader := s.session()
	require.NoError(s, reader.CreateSemaphore(s.ctx, "job", 1, options.WithCreateData(data)))
	s.acquire(reader, "job", 1, options.WithAcquireData(data))
	for range 4 {
		s.queue(s.session(), "job", 1, options.WithAcquireData(data))
	}

	d := s.describe(reader, "job")
	require.True(s, bytes.Equal(data, d.Data))
	require.Len(s, d.Waiters, 4)
	for _, link := range append(d.Owners, d.Waiters...) {
		require.True(s, bytes.Equal(data, link.Data))
	}
}
