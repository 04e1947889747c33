package lock_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/lock"
	"tenure/tenuretest"
)

// Work ignores the loss of its lock, so the client cannot end the lost session, and the server keeps it for its timeout
// and the grace period. Another call of the same process that waits for the lock learns that. It gets the lock as soon
// as the work has returned.
func TestWaiting_ForALostSession(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	client, r := srv.Client(t), newRecorder()
	first, err := lock.Acquire(t.Context(), client, path, name)
	require.NoError(t, err)
	srv.Kill()
	srv.Advance(timeout)
	<-first.Context().Done()
	srv.Restart()

	ctx, cancel := context.WithTimeout(t.Context(), timeout) // the server would keep the session for longer
	defer cancel()
	second := make(chan error, 1)
	go func() {
		second <- lock.Do(ctx, client, path, name, func(context.Context, *lock.Held) error { return nil },
			r.observer())
	}()
	e := await(t, r, func(e lock.Waiting) bool { return len(e.Holders) > 0 })
	require.Equal(t, first.SessionID(), e.Holders[0].Session)
	const grace = 10 * time.Second // of a node with the default settings
	require.LessOrEqual(t, e.Holders[0].Lost, timeout+grace)
	require.Greater(t, e.Holders[0].Lost, timeout)

	require.ErrorIs(t, first.Release(t.Context()), lock.ErrLost)
	require.NoError(t, <-second)
}
