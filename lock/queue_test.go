package lock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/lock"
)

// A waiter learns who holds the lock and how many wait before it, and again when that changes.
func TestWaiting(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			first := acquire(t, client, name, lock.WithData([]byte("first")))
			second, third := newRecorder(), newRecorder()
			done := make(chan error, 1)
			hold := make(chan struct{})
			go func() {
				done <- lock.Do(t.Context(), client, path, name, func(context.Context, *lock.Held) error {
					<-hold

					return nil
				}, second.observer(), lock.WithData([]byte("second")))
			}()
			e := await(t, second, func(e lock.Waiting) bool { return len(e.Holders) > 0 })
			require.Equal(t, name, e.Name)
			require.Equal(t, []lock.Holder{
				{Session: first.SessionID(), Token: first.Token(), Count: coordination.Exclusive, Data: []byte("first")},
			}, e.Holders)
			require.Zero(t, e.Ahead)
			require.Equal(t, "first", e.Holders[0].String())

			ctx, cancel := context.WithCancelCause(t.Context())
			gone := make(chan error, 1)
			go func() { gone <- lock.Do(ctx, client, path, name, unused(t), third.observer()) }()
			e = await(t, third, func(e lock.Waiting) bool { return len(e.Holders) > 0 })
			require.Equal(t, 1, e.Ahead)
			require.Equal(t, "first", e.Holders[0].String())

			require.NoError(t, first.SetData(t.Context(), []byte("first, since noon")))
			await(t, third, func(e lock.Waiting) bool {
				return len(e.Holders) > 0 && e.Holders[0].String() == "first, since noon"
			})
			require.NoError(t, first.Release(t.Context()))
			e = await(t, third, func(e lock.Waiting) bool { return e.Ahead == 0 && len(e.Holders) > 0 })
			require.Equal(t, "second", e.Holders[0].String())
			cancel(errStopped)
			require.Equal(t, errStopped, <-gone)
			close(hold)
			require.NoError(t, <-done)
		})
	}
}

// A waiter that leaves the queue is noticed although the watch does not report it.
func TestWaiting_WaiterLeaves(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		first := start(t, service, 0)
		time.Sleep(soon)
		second := start(t, service, 0)
		time.Sleep(soon)
		third := start(t, service, 0)
		time.Sleep(time.Second)
		require.Equal(t, []int{0, 1}, third.places())
		require.Equal(t, errStopped, second.end(t))
		time.Sleep(6 * time.Second)
		require.Equal(t, []int{0, 1, 0}, third.places())
		require.NoError(t, first.end(t))
		require.Equal(t, 1, third.working())
		require.NoError(t, third.end(t))
	})
}

// places returns Ahead of the Waiting events so far.
func (r *runner) places() []int {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []int
	for _, e := range r.events {
		if e, ok := e.(lock.Waiting); ok {
			found = append(found, e.Ahead)
		}
	}

	return found
}

// A lock that is free is not described except to read its token, and neither is one that is granted within a moment.
func TestWaiting_NotForAMoment(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		r := newRecorder()
		held := acquire(t, service, name)
		require.Equal(t, 1, service.Calls("DescribeSemaphore"))
		time.AfterFunc(400*time.Millisecond, func() { _ = held.Release(t.Context()) })
		second := acquire(t, service, name, r.observer())
		require.Len(t, all[lock.Waiting](r), 1)
		require.NoError(t, second.Release(t.Context()))
	})
}

// The load does not grow with the square of the number of waiters, even while the lock changes hands all the time.
func TestWaiting_Load(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ waiters, perSecond int }{{5, 6}, {200, 101}} {
		t.Run(fmt.Sprint(test.waiters), func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				service := coordtest.NewService()
				_ = acquire(t, service, name, lock.WithLimit(2)) // the waiters want all of it
				ctx, cancel := context.WithCancelCause(t.Context())
				done := make(chan error, test.waiters)
				for range test.waiters {
					go func() {
						done <- lock.Do(ctx, service, path, name, unused(t), lock.WithLimit(2), lock.WithCount(2))
					}()
				}
				time.Sleep(time.Minute)
				before, began := service.Calls("DescribeSemaphore"), time.Now()

				for time.Since(began) < time.Minute {
					service.Touch(path, name)
					time.Sleep(100 * time.Millisecond)
				}
				calls := service.Calls("DescribeSemaphore") - before
				t.Logf("%d waiters: %d descriptions in a minute", test.waiters, calls)
				require.LessOrEqual(t, calls, test.perSecond*60)
				require.GreaterOrEqual(t, calls, test.perSecond*20, "the waiters notice the changes")
				cancel(errStopped)
				for range test.waiters {
					require.Equal(t, errStopped, <-done)
				}
			})
		})
	}
}

// A session that breaks does not stop the events of the next one.
func TestWaiting_AfterALoss(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		first := start(t, service, 0)
		time.Sleep(soon)
		second := start(t, service, 0)
		time.Sleep(time.Second)
		require.Equal(t, []int{0, 0}, second.places())
		require.True(t, service.Break(second.session(), errors.New("unplugged")))
		time.Sleep(time.Second)
		require.Equal(t, []int{0, 0, 0, 1}, second.places(), "the dead session is ahead")
		time.Sleep(2 * timeout)
		require.Equal(t, []int{0, 0, 0, 1, 0}, second.places())
		require.NoError(t, first.end(t))
		require.NoError(t, second.end(t))
	})
}
