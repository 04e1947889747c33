package lock_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure"
	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/lock"
	"tenure/tenuretest"
)

// If the lock is taken, TryAcquire says who holds it. If it is free, TryAcquire takes it.
func TestTryAcquire(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			first, err := lock.TryAcquire(t.Context(), client, path, name, lock.WithData([]byte("alice")))
			require.NoError(t, err)
			for range 3 {
				_, err = lock.TryAcquire(t.Context(), client, path, name)
				require.ErrorIs(t, err, lock.ErrBusy)
				require.EqualError(t, err, `lock "lock": the lock is taken: held by alice`)
				busy, ok := errors.AsType[*lock.BusyError](err)
				require.True(t, ok)
				require.Equal(t, []lock.Holder{
					{Session: first.SessionID(), Token: first.Token(), Count: coordination.Exclusive, Data: []byte("alice")},
				}, busy.Holders)
			}
			require.NoError(t, first.Release(t.Context()))
			second, err := lock.TryAcquire(t.Context(), client, path, name)
			require.NoError(t, err)
			require.Greater(t, second.Token(), first.Token())
			require.NoError(t, second.Release(t.Context()))
		})
	}
}

// TryAcquire does not overtake a waiter, although the waiter does not hold the lock.
func TestTryAcquire_BehindAWaiter(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			reader := acquire(t, client, name, lock.WithShared(), lock.WithData([]byte("reader")))
			waiting := newRecorder()
			done := make(chan error, 1)
			go func() {
				done <- lock.Do(t.Context(), client, path, name, func(context.Context, *lock.Held) error { return nil },
					waiting.observer())
			}()
			await(t, waiting, func(e lock.Waiting) bool { return len(e.Holders) > 0 })
			_, err := lock.TryAcquire(t.Context(), client, path, name, lock.WithShared())
			require.EqualError(t, err, `lock "lock": the lock is taken: held by reader`)
			require.NoError(t, reader.Release(t.Context()))
			require.NoError(t, <-done)
		})
	}
}

// The time limit ends the wait in the queue. It leaves nothing behind, and work does not run.
func TestWithWait(t *testing.T) {
	t.Parallel()
	for _, reveal := range []bool{false, true} {
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			service.Reveal = reveal
			first := acquire(t, service, name, lock.WithData([]byte("alice")))
			began := time.Now()
			err := lock.Do(t.Context(), service, path, name, unused(t), lock.WithWait(3*time.Second))
			require.Equal(t, 3*time.Second, time.Since(began).Round(soon))
			require.ErrorIs(t, err, lock.ErrBusy)
			require.EqualError(t, err, `lock "lock": not acquired within 3s: held by alice`)
			require.NoError(t, first.Release(t.Context()))
			err = lock.Do(t.Context(), service, path, name, func(context.Context, *lock.Held) error { return nil },
				lock.WithWait(3*time.Second))
			require.NoError(t, err)
			time.Sleep(2 * timeout)
			require.Empty(t, service.Sessions())
		})
	}
}

// The time limit does not concern work.
func TestWithWait_NotForWork(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		err := lock.Do(t.Context(), coordtest.NewService(), path, name, func(ctx context.Context, _ *lock.Held) error {
			time.Sleep(time.Hour)

			return ctx.Err()
		}, lock.WithWait(time.Second))
		require.NoError(t, err)
	})
}

// The time limit includes the attempts to reach the server, and the error says why there was no session.
func TestWithWait_WithoutAServer(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"DescribeNode", "Session"} {
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			down := errors.New("no route to host")
			service.SetFault(failing(call, down))
			began := time.Now()
			_, err := lock.Acquire(t.Context(), service, path, name, lock.WithWait(5*time.Second))
			require.Equal(t, 5*time.Second, time.Since(began))
			require.ErrorIs(t, err, lock.ErrBusy)
			if call == "DescribeNode" {
				require.EqualError(t, err, `lock "lock": not acquired within 5s: look up node "/local/test": no route to host`)
				require.ErrorIs(t, err, down)
			}

			began = time.Now()
			_, err = lock.TryAcquire(t.Context(), service, path, name)
			require.Equal(t, 10*time.Second, time.Since(began))
			require.Error(t, err)
			require.NotErrorIs(t, err, lock.ErrBusy, "the lock may be free")
		})
	}
}

// The end of ctx is not ErrBusy.
func TestWithWait_EndOfContext(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		_ = acquire(t, service, name)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStopped)
		defer cancel()
		err := lock.Do(ctx, service, path, name, unused(t), lock.WithWait(time.Minute))
		require.Equal(t, errStopped, err)
	})
}

// A refusal is not ErrBusy, even if the client does not reveal the reason.
func TestTryAcquire_Refused(t *testing.T) {
	t.Parallel()
	for _, reveal := range []bool{false, true} {
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			service.Reveal = reveal
			service.SetFault(failing("AcquireSemaphore", &coordtest.StatusError{Status: Ydb.StatusIds_UNAUTHORIZED, Text: "no"}))
			_, err := lock.TryAcquire(t.Context(), service, path, name)
			require.Error(t, err)
			require.NotErrorIs(t, err, lock.ErrBusy)
			require.ErrorContains(t, err, `acquire semaphore "lock" on node "/local/test": `)
		})
	}
}

// The time limit ends at many moments before, during and after the grant. Either work has run under the lock, or the
// call returns ErrBusy. The events of each call come in pairs, and the lock is always free afterwards.
func TestDo_TimeLimitDuringGrant(t *testing.T) {
	t.Parallel()
	for step := range 300 {
		after := time.Duration(step/2+1) * 100 * time.Microsecond
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			service.Late = step%2 == 1
			ran, r := false, newRecorder()
			err := lock.Do(t.Context(), service, path, name, func(context.Context, *lock.Held) error {
				ran = true

				return nil
			}, lock.WithWait(after), r.observer())
			require.Equal(t, ran, err == nil)
			if err != nil {
				require.ErrorIs(t, err, lock.ErrBusy)
			}
			n := 0
			if ran {
				n = 1
			}
			require.Len(t, all[lock.Acquired](r), n)
			require.Len(t, all[lock.Released](r), n)
			require.Empty(t, all[lock.Lost](r))
			require.Zero(t, service.Owner(path, name))
		})
	}
}

// slowCreation is a client whose CreateNode gets no answer.
type slowCreation struct{ *tenure.Client }

func (slowCreation) CreateNode(ctx context.Context, _ string, _ coordination.NodeConfig) error {
	<-ctx.Done()

	return ctx.Err()
}

// If the time limit passes while the call creates the node, the reason is not that the node does not exist.
func TestWithWait_CreatesNode(t *testing.T) {
	t.Parallel()
	client := slowCreation{tenuretest.NewServer(t).Client(t)}
	_, err := lock.Acquire(t.Context(), client, "/local/new", name, lock.WithWait(300*time.Millisecond))
	require.ErrorIs(t, err, lock.ErrBusy)
	require.EqualError(t, err, `lock "lock": not acquired within 300ms: `+
		"no answer from the server: check that it runs and can be reached")
}

// Also after a short time limit, the error names the holder.
func TestWithWait_ShortNamesHolder(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		held := acquire(t, service, name, lock.WithData([]byte("alice")))
		_, err := lock.Acquire(t.Context(), service, path, name, lock.WithWait(100*time.Millisecond))
		require.EqualError(t, err, `lock "lock": not acquired within 100ms: held by alice`)
		require.NoError(t, held.Release(t.Context()))
	})
}

// A negative limit, such as the time until a deadline that has passed, does not mean that there is no limit.
func TestWithWait_Negative(t *testing.T) {
	t.Parallel()
	for _, limit := range []time.Duration{-1, -time.Hour, math.MinInt64} {
		err := lock.Do(t.Context(), coordtest.NewService(), path, name, unused(t), lock.WithWait(limit))
		require.EqualError(t, err, fmt.Sprintf(
			`lock "lock": the wait %v is negative: leave out WithWait to wait without a limit`, limit))
	}
}

// The error of a name that is too long does not contain all of it.
func TestAcquire_LongName(t *testing.T) {
	t.Parallel()
	_, err := lock.Acquire(t.Context(), coordtest.NewService(), path, strings.Repeat("n", 1<<20))
	require.EqualError(t, err, `lock "`+strings.Repeat("n", 64)+`"... (1048576 bytes): `+
		"the semaphore name has 1048576 bytes: the limit is 1024")
}
