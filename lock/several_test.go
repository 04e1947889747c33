package lock_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/lock"
)

// With several names each lock has its own token, and all of them are released.
func TestWithAlso(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			r := newRecorder()
			first := acquire(t, client, "b")
			held, err := lock.TryAcquire(t.Context(), client, path, "d", lock.WithAlso("c", "a"), r.observer())
			require.NoError(t, err)
			tokens := held.Tokens()
			require.Len(t, tokens, 3)
			require.Equal(t, tokens["d"], held.Token())
			require.Greater(t, tokens["a"], first.Token())
			require.Greater(t, tokens["c"], tokens["a"], "acquired in the order of the names")
			require.Greater(t, tokens["d"], tokens["c"])
			acquired := all[lock.Acquired](r)
			require.Len(t, acquired, 1)
			require.Equal(t, tokens, acquired[0].Tokens)
			require.NoError(t, held.SetData(t.Context(), []byte("new")))
			for _, name := range []string{"a", "c", "d"} {
				_, err := lock.TryAcquire(t.Context(), client, path, name)
				require.ErrorIs(t, err, lock.ErrBusy)
				require.Equal(t, "new", ownerData(t, client, name))
			}
			require.NoError(t, held.Release(t.Context()))
			require.Len(t, all[lock.Released](r), 1)
			for _, name := range []string{"a", "c", "d"} {
				free, err := lock.TryAcquire(t.Context(), client, path, name)
				require.NoError(t, err)
				require.NoError(t, free.Release(t.Context()))
			}
		})
	}
}

// If the call gives up on one lock, it releases those that it already has, and says which one was taken.
func TestWithAlso_GivesUp(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			_ = acquire(t, client, "b", lock.WithData([]byte("alice")))
			r := newRecorder()
			_, err := lock.TryAcquire(t.Context(), client, path, "c", lock.WithAlso("b", "a"), r.observer())
			require.EqualError(t, err, `lock "b": the lock is taken: held by alice`)
			require.Empty(t, all[lock.Released](r), "there is no Released without an Acquired")
			for _, name := range []string{"a", "c"} {
				free, err := lock.TryAcquire(t.Context(), client, path, name)
				require.NoError(t, err, name)
				require.NoError(t, free.Release(t.Context()))
			}
		})
	}
}

// The time limit is that of all locks together.
func TestWithAlso_WithWait(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		a := acquire(t, service, "a")
		_ = acquire(t, service, "b", lock.WithData([]byte("alice")))
		time.AfterFunc(time.Second, func() { _ = a.Release(t.Context()) })
		began := time.Now()
		err := lock.Do(t.Context(), service, path, "b", unused(t), lock.WithAlso("a"), lock.WithWait(3*time.Second))
		require.Equal(t, 3*time.Second, time.Since(began).Round(soon))
		require.ErrorIs(t, err, lock.ErrBusy)
		require.EqualError(t, err, `lock "b": not acquired within 3s: held by alice`)
		require.Zero(t, service.Owner(path, "a"))
	})
}

// Many callers want several of the same locks, and give the names in any order. None of them waits forever, and each
// lock has one holder at a time.
func TestWithAlso_NoDeadlock(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		const callers, rounds, locks = 12, 10, 5
		all := []string{"a", "b", "c", "d", "e"}
		var holders [locks]atomic.Int32
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(1, uint64(caller))) //nolint:gosec // repeatable
				for range rounds {
					picked := rng.Perm(locks)[:2+rng.IntN(locks-1)]
					var names []string
					for _, i := range picked {
						names = append(names, all[i])
					}
					err := lock.Do(t.Context(), service, path, names[0], func(context.Context, *lock.Held) error {
						for _, i := range picked {
							if holders[i].Add(1) != 1 {
								return errors.New("two holders")
							}
						}
						time.Sleep(time.Millisecond)
						for _, i := range picked {
							holders[i].Add(-1)
						}

						return nil
					}, lock.WithAlso(names[1:]...))
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * timeout)
		require.Empty(t, service.Sessions())
	})
}

// If the session breaks while it waits for the second lock, the call starts over with both.
func TestWithAlso_LostWhileWaiting(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		first := acquire(t, service, "b")
		r := newRecorder()
		done := make(chan error, 1)
		go func() {
			done <- lock.Do(t.Context(), service, path, "b", func(context.Context, *lock.Held) error { return nil },
				lock.WithAlso("a"), r.observer())
		}()
		time.Sleep(soon)
		require.True(t, service.Break(service.Owner(path, "a"), errors.New("unplugged")))
		time.Sleep(2 * timeout)
		require.NoError(t, first.Release(t.Context()))
		require.NoError(t, <-done)
		require.Len(t, all[lock.Acquired](r), 1)
		require.Empty(t, all[lock.Lost](r))
		require.Zero(t, service.Owner(path, "a"))
	})
}
