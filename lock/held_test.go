package lock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure"
	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/internal/nocontext"
	"tenure/lock"
	"tenure/tenuretest"
)

// Do calls work at most once. If the lock is lost, it waits for work and returns an error that wraps ErrLost.
func TestDo_Lost(t *testing.T) {
	t.Parallel()
	unplugged, broken := errors.New("unplugged"), errors.New("broken")
	for _, test := range []struct {
		name   string
		result error
		want   string
	}{
		{"work succeeds", nil, `lock "lock": lease lost: unplugged`},
		{"work returns the cause", lock.ErrLost, `lock "lock": lease lost: unplugged`},
		{"work returns the error of its context", context.Canceled, `lock "lock": lease lost: unplugged`},
		{"work fails", broken, `lock "lock": lease lost: unplugged; work returned: broken`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				service, r, runs := coordtest.NewService(), newRecorder(), 0
				err := lock.Do(t.Context(), service, path, name, func(ctx context.Context, held *lock.Held) error {
					runs++
					service.Break(held.SessionID(), unplugged)
					<-ctx.Done()
					require.ErrorIs(t, context.Cause(ctx), lock.ErrLost)
					require.ErrorIs(t, context.Cause(ctx), unplugged)
					require.Equal(t, context.Cause(ctx), context.Cause(held.Context()))
					require.False(t, held.Valid())
					time.Sleep(time.Minute)

					return test.result
				}, r.observer())
				require.EqualError(t, err, test.want)
				require.ErrorIs(t, err, lock.ErrLost)
				if test.result != nil && errors.Is(test.result, broken) {
					require.ErrorIs(t, err, broken)
				}
				require.Equal(t, 1, runs)
				require.Len(t, all[lock.Acquired](r), 1)
				require.Len(t, all[lock.Lost](r), 1)
				require.Empty(t, all[lock.Released](r))
			})
		})
	}
}

// The context of work has the values of ctx and ends with it. Do returns what work returned.
func TestDo_EndOfContext(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		broken, service, r := errors.New("broken"), coordtest.NewService(), newRecorder()
		time.AfterFunc(time.Minute, func() { cancel(errStopped) })
		err := lock.Do(ctx, service, path, name, func(ctx context.Context, held *lock.Held) error {
			require.Equal(t, "value", ctx.Value(key{}))
			require.Equal(t, "value", held.Context().Value(key{}))
			<-ctx.Done()
			require.Equal(t, errStopped, context.Cause(ctx))
			require.NoError(t, held.Context().Err(), "the lock is held until work returns")
			require.True(t, held.Valid())

			return broken
		}, r.observer())
		require.Equal(t, broken, err)
		require.Len(t, all[lock.Released](r), 1)
		require.Zero(t, service.Owner(path, name))
	})
}

// The end of the ctx of Acquire does not end the lock.
func TestAcquire_EndOfContext(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			held, err := lock.Acquire(ctx, client, path, name)
			require.NoError(t, err)
			cancel()
			require.NoError(t, held.Context().Err())
			require.True(t, held.Valid())
			require.Equal(t, held.SessionID(), held.Session().SessionID())
			require.NoError(t, held.Release(t.Context()))
			require.Error(t, held.Context().Err())
			require.EqualError(t, context.Cause(held.Context()), "lock released")
			require.False(t, held.Valid())
			require.Zero(t, held.Remaining())
			require.NoError(t, held.Release(t.Context()), "the same result")
		})
	}
}

// Release of a lock that was lost says so, and closes the session.
func TestHeld_ReleaseAfterLoss(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service, r := coordtest.NewService(), newRecorder()
		held, err := lock.Acquire(t.Context(), service, path, name, r.observer())
		require.NoError(t, err)
		service.Break(held.SessionID(), errors.New("unplugged"))
		<-held.Context().Done()
		synctest.Wait()
		require.Len(t, all[lock.Lost](r), 1, "reported before Release")
		require.EqualError(t, held.Release(t.Context()), `lock "lock": lease lost: unplugged`)
		require.Empty(t, all[lock.Released](r))
	})
}

// Release ends the lock immediately and returns when ctx ends, although the server does not answer.
func TestHeld_ReleaseWithoutAServer(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		held, err := lock.Acquire(t.Context(), service, path, name)
		require.NoError(t, err)
		service.SetDelay(func() time.Duration { return time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.EqualError(t, held.Release(ctx),
			`lock "lock": release on node "/local/test": no answer in time: context deadline exceeded`)
		require.Equal(t, time.Second, time.Since(began))
		require.Error(t, held.Context().Err())
	})
}

// The deadline moves with each answer of the server, and Renewed tells so.
func TestHeld_Renewed(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	client := srv.Client(t)
	held := acquire(t, client, name)
	first := held.Deadline()
	require.Positive(t, held.Remaining())
	for range 3 {
		renewed, before := held.Renewed(), held.Deadline()
		srv.Advance(timeout / 3)
		<-renewed
		require.True(t, held.Deadline().After(before))
	}
	require.Greater(t, held.Deadline().Sub(first), timeout/2)
	renewed := held.Renewed()
	require.NoError(t, held.Release(t.Context()))
	<-renewed
	<-held.Renewed()
	require.True(t, held.Deadline().IsZero())
}

// If the server answers while the lease is in danger, the lock is safe again and is released in the end.
func TestHeld_SafeAgain(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	client, r := srv.Client(t), newRecorder()
	held, err := lock.Acquire(t.Context(), client, path, name, lock.WithGrace(timeout/4), r.observer())
	require.NoError(t, err)
	srv.Partition(client)
	srv.Advance(timeout * 8 / 10)
	<-held.Context().Done()
	require.ErrorIs(t, context.Cause(held.Context()), lock.ErrLost)
	danger := await(t, r, func(lock.Danger) bool { return true })
	require.ErrorIs(t, danger.Cause, lock.ErrLost)
	require.LessOrEqual(t, danger.Remaining, timeout/4)
	require.True(t, held.Valid())
	srv.Heal(client)
	srv.Advance(timeout / 100)
	safe := await(t, r, func(lock.Safe) bool { return true })
	require.Greater(t, safe.Remaining, timeout/4)
	require.NoError(t, held.Release(t.Context()))
	require.Empty(t, all[lock.Lost](r))
	require.Len(t, all[lock.Released](r), 1)
}

// Others see the data that SetData has set. The lock keeps its token, and the end of ctx does not release it.
func TestHeld_SetData(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			for _, opts := range [][]lock.Option{nil, {lock.WithShared()}, {lock.WithLimit(3), lock.WithCount(2)}} {
				name := "data" + string(rune('a'+len(opts)))
				held, err := lock.Acquire(t.Context(), client, path, name, append(opts, lock.WithData([]byte("old")))...)
				require.NoError(t, err)
				require.Equal(t, "old", ownerData(t, client, name))
				require.NoError(t, held.SetData(t.Context(), []byte("new")))
				require.Equal(t, "new", ownerData(t, client, name))
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(errStopped)
				require.ErrorIs(t, held.SetData(ctx, []byte("newer")), errStopped)
				require.Contains(t, []string{"new", "newer"}, ownerData(t, client, name))
				require.True(t, held.Valid())
				require.NoError(t, held.Release(t.Context()))
				require.EqualError(t, held.SetData(t.Context(), []byte("late")),
					`set the data of lock "`+name+`": lock released`)
				again, err := lock.TryAcquire(t.Context(), client, path, name, opts...)
				require.NoError(t, err)
				require.NoError(t, again.Release(t.Context()))
			}
		})
	}
}

// With a client that is closed, no function tries again.
func TestClosedClient(t *testing.T) {
	t.Parallel()
	client := tenuretest.NewServer(t).Client(t)
	require.NoError(t, client.Close(t.Context()))
	const want = `describe node "/local/test": the client is closed`
	_, err := lock.Acquire(t.Context(), client, path, name)
	require.EqualError(t, err, want)
	_, err = lock.TryAcquire(t.Context(), client, path, name)
	require.EqualError(t, err, want)
	require.NotErrorIs(t, err, lock.ErrBusy)
	require.EqualError(t, lock.Do(t.Context(), client, path, name, unused(t)), want)
	require.EqualError(t, lock.Do(t.Context(), client, path, name, unused(t), lock.WithWait(time.Minute)), want)
	require.EqualError(t, lock.Elect(t.Context(), client, path, name, unused(t)), want)
	require.EqualError(t, lock.Observe(t.Context(), client, path, name, func(lock.Leader) {}), want)
}

// A client that is closed while a call waits in the queue ends the call.
func TestClosedClient_WhileWaiting(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	_ = acquire(t, srv.Client(t), name)
	client, r := srv.Client(t), newRecorder()
	done := make(chan error, 1)
	go func() { done <- lock.Do(t.Context(), client, path, name, unused(t), r.observer()) }()
	await(t, r, func(lock.Waiting) bool { return true })
	require.NoError(t, client.Close(t.Context()))
	require.EqualError(t, <-done, `describe node "/local/test": the client is closed`)
}

// A client that is closed during work ends the lock.
func TestClosedClient_DuringWork(t *testing.T) {
	t.Parallel()
	client := tenuretest.NewServer(t).Client(t)
	err := lock.Do(t.Context(), client, path, name, func(ctx context.Context, _ *lock.Held) error {
		require.NoError(t, client.Close(context.WithoutCancel(ctx)))
		<-ctx.Done()

		return nil
	})
	require.ErrorIs(t, err, lock.ErrLost)
	require.ErrorIs(t, err, tenure.ErrSessionClosed)
}

// Release with a nil context releases the lock nevertheless, and says that the context is nil.
func TestHeld_NoContext(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	client := srv.Client(t)
	held := acquire(t, client, name)
	var none context.Context
	require.ErrorIs(t, held.SetData(none, nil), nocontext.Err)
	require.True(t, held.Valid())
	if err := held.Release(none); err != nil { // nil if the server has answered quickly
		require.ErrorIs(t, err, nocontext.Err)
	}
	require.False(t, held.Valid())
	again, err := lock.Acquire(t.Context(), client, path, name)
	require.NoError(t, err)
	require.NoError(t, again.Release(t.Context()))
}

// If ctx has ended, Release returns its error, and the client releases the lock in the background.
func TestHeld_ReleaseAfterContext(t *testing.T) {
	t.Parallel()
	client := tenuretest.NewServer(t).Client(t)
	held := acquire(t, client, name)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := held.Release(ctx); err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	again, err := lock.Acquire(t.Context(), client, path, name)
	require.NoError(t, err)
	require.NoError(t, again.Release(t.Context()))
}
