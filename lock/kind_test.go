package lock_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/lock"
)

// Shared holders share the lock, and an exclusive one holds it alone.
func TestWithShared(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			try := func(opts ...lock.Option) (*lock.Held, error) {
				return lock.TryAcquire(t.Context(), client, path, name, opts...)
			}
			first, err := try(lock.WithShared())
			require.NoError(t, err)
			second, err := try(lock.WithShared())
			require.NoError(t, err)
			require.Greater(t, second.Token(), first.Token())
			_, err = try()
			require.ErrorIs(t, err, lock.ErrBusy)
			require.NoError(t, first.Release(t.Context()))
			_, err = try()
			require.ErrorIs(t, err, lock.ErrBusy)
			require.NoError(t, second.Release(t.Context()))
			alone, err := try()
			require.NoError(t, err)
			_, err = try(lock.WithShared())
			require.ErrorIs(t, err, lock.ErrBusy)
			require.NoError(t, alone.Release(t.Context()))
		})
	}
}

// The queue is strict: readers that come after a writer do not starve it.
func TestWithShared_Fair(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		reader := acquire(t, service, name, lock.WithShared())
		var mu sync.Mutex
		var order []string
		begun := func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()

			return slices.Clone(order)
		}
		done := make(chan error, 3)
		for _, who := range []string{"writer", "second reader", "third reader"} {
			var opts []lock.Option
			if who != "writer" {
				opts = append(opts, lock.WithShared())
			}
			go func() {
				done <- lock.Do(t.Context(), service, path, name, func(context.Context, *lock.Held) error {
					mu.Lock()
					order = append(order, who)
					mu.Unlock()
					time.Sleep(time.Minute)

					return nil
				}, opts...)
			}()
			time.Sleep(soon)
		}
		require.Empty(t, begun())
		require.NoError(t, reader.Release(t.Context()))
		time.Sleep(soon)
		require.Equal(t, []string{"writer"}, begun())
		began := time.Now()
		for range 3 {
			require.NoError(t, <-done)
		}
		require.Equal(t, "writer", begun()[0])
		require.Equal(t, 2*time.Minute, time.Since(began).Round(time.Second), "the readers work at the same time")
	})
}

// The limit is the number of holders, or fewer if some of them take more than one unit.
func TestWithLimit(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			try := func(opts ...lock.Option) (*lock.Held, error) {
				return lock.TryAcquire(t.Context(), client, path, name, append(opts, lock.WithLimit(3))...)
			}
			two, err := try(lock.WithCount(2))
			require.NoError(t, err)
			one, err := try()
			require.NoError(t, err)
			require.Greater(t, one.Token(), two.Token())
			_, err = try()
			require.ErrorIs(t, err, lock.ErrBusy)
			require.NoError(t, two.Release(t.Context()))
			_, err = try(lock.WithCount(3))
			require.ErrorIs(t, err, lock.ErrBusy)
			again, err := try(lock.WithCount(2))
			require.NoError(t, err)
			require.NoError(t, one.Release(t.Context()))
			require.NoError(t, again.Release(t.Context()))
			full, err := try(lock.WithCount(3))
			require.NoError(t, err, "the semaphore is persistent")
			require.NoError(t, full.Release(t.Context()))
		})
	}
}

// Using a name as both kinds, or with two limits, is a permanent error that names both, also if the lock is taken.
func TestWithLimit_Mismatch(t *testing.T) {
	t.Parallel()
	const (
		remedy = ": use the same limit everywhere, or choose another name"
		remove = `: use the same limit everywhere, choose another name, or run "tenure semaphore delete", which also ` +
			`deletes its data`
	)
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			_ = acquire(t, client, "plain")
			_ = acquire(t, client, "three", lock.WithLimit(3), lock.WithCount(3))
			for _, test := range []struct {
				name string
				opt  lock.Option
				want string
			}{
				{
					"plain", lock.WithLimit(3), `acquire semaphore "plain" on node "/local/test": the semaphore has no limit ` +
						`and is in use, and a persistent one with limit 3 is needed` + remedy,
				},
				{
					"three", nil, `acquire semaphore "three" on node "/local/test": the semaphore is persistent and has ` +
						`limit 3, and one without a limit is needed` + remove,
				},
				{
					"three", lock.WithLimit(5), `acquire semaphore "three" on node "/local/test": ` +
						`the semaphore has limit 3, and limit 5 is needed` + remove,
				},
			} {
				for _, wait := range []lock.Option{nil, lock.WithWait(0), lock.WithWait(time.Minute)} {
					err := lock.Do(t.Context(), client, path, test.name, unused(t), test.opt, wait)
					require.EqualError(t, err, test.want)
				}
			}
		})
	}
}

// A semaphore that was deleted and made again with another limit between the check and the grant is noticed.
func TestWithLimit_MismatchAfterGrant(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		require.NoError(t, service.CreateNode(t.Context(), path, coordination.NodeConfig{}))
		service.SetFault(func(call string) error {
			if call == "AcquireSemaphore" {
				service.Replace(path, name, 5)
			}

			return nil
		})
		err := lock.Do(t.Context(), service, path, name, unused(t), lock.WithLimit(3))
		require.ErrorContains(t, err, "the semaphore has limit 5, and limit 3 is needed")
		require.Zero(t, service.Owner(path, name))
	})
}

func TestWithLimit_NoRightToCreate(t *testing.T) {
	t.Parallel()
	for _, reveal := range []bool{false, true} {
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			service.Reveal = reveal
			service.SetFault(failing("CreateSemaphore", &coordtest.StatusError{
				Status: Ydb.StatusIds_UNAUTHORIZED, Text: "no",
			}))
			err := lock.Do(t.Context(), service, path, name, unused(t), lock.WithLimit(3))
			require.ErrorContains(t, err, `acquire semaphore "lock" on node "/local/test": `)
			if !reveal {
				require.ErrorContains(t, err, "check the right to create semaphores on the node")
			}
			require.Zero(t, service.Calls("AcquireSemaphore"))
		})
	}
}

// If many create the semaphore at the same time, all of them use the same one.
func TestWithLimit_CreatedByMany(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			const many, limit = 8, 3
			now, peak := make(chan struct{}, many), make(chan struct{}, limit)
			done := make(chan error, many)
			for range many {
				go func() {
					done <- lock.Do(t.Context(), client, path, name, func(context.Context, *lock.Held) error {
						select {
						case peak <- struct{}{}:
						default:
							return errors.New("too many holders")
						}
						now <- struct{}{}
						<-peak

						return nil
					}, lock.WithLimit(limit))
				}()
			}
			for range many {
				require.NoError(t, <-done)
			}
			require.Len(t, now, many)
		})
	}
}

func TestOptions_Combinations(t *testing.T) {
	t.Parallel()
	const missing = `it must be at least 1, and the same for all users of the lock`
	for want, opts := range map[string][]lock.Option{
		"the limit is missing: " + missing: {lock.WithCount(2)},
		"the limit is 0: " + missing:       {lock.WithLimit(0)},
		"the count is 0: it must be at least 1": {
			lock.WithLimit(3), lock.WithCount(0),
		},
		"the count 4 is above the limit 3": {lock.WithLimit(3), lock.WithCount(4)},
		"WithShared cannot be combined with WithLimit: use WithLimit, and WithCount with 1": {
			lock.WithShared(), lock.WithLimit(3),
		},
		`the name "lock" is given twice`:  {lock.WithAlso(name)},
		`the name "other" is given twice`: {lock.WithAlso("other", "other")},
		"the semaphore name is empty":     {lock.WithAlso("")},
	} {
		err := lock.Do(t.Context(), coordtest.NewService(), path, name, unused(t), opts...)
		require.EqualError(t, err, `lock "lock": `+want)
	}
	err := lock.Elect(t.Context(), coordtest.NewService(), path, name, unused(t), lock.WithWait(time.Second))
	require.EqualError(t, err, `lock "lock": Elect does not limit the wait: leave out WithWait, or end the context`)
}

// ownerData returns the data of the owner of the lock.
func ownerData(t *testing.T, client coordination.Client, name string) string {
	t.Helper()
	session, err := client.Session(t.Context(), path, options.WithSessionTimeout(timeout))
	require.NoError(t, err)
	defer func() { _ = session.Close(t.Context()) }()
	found, err := session.DescribeSemaphore(t.Context(), name, options.WithDescribeOwners(true))
	require.NoError(t, err)
	require.Len(t, found.Owners, 1)

	return string(found.Owners[0].Data)
}
