package tenure_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/lock"
)

// Package lock learns the fencing token, or the holders of the lock, in the same round trip as the acquire.
func TestAcquire_OneRoundTrip(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		c, n := w.far()
		require.NoError(w, w.session(c, time.Minute).Close(w.Context())) // connect
		n.up.slow(50 * time.Millisecond)
		n.down.slow(50 * time.Millisecond)

		began := time.Now()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		bare := time.Since(began)
		token, err := l.Token(w.Context())
		require.NoError(w, err)
		require.Equal(w, bare+100*time.Millisecond, time.Since(began), "a separate question takes another round trip")

		began = time.Now()
		_, err = lock.TryAcquire(w.Context(), c, path, "job")
		require.ErrorIs(w, err, lock.ErrBusy)
		busy, ok := errors.AsType[*lock.BusyError](err)
		require.True(w, ok)
		require.Equal(w, s.SessionID(), busy.Holders[0].Session)
		require.Equal(w, bare+100*time.Millisecond, time.Since(began), "the close takes another round trip")
		require.NoError(w, s.Close(w.Context()))

		began = time.Now()
		err = lock.Do(w.Context(), c, path, "job", func(_ context.Context, held *lock.Held) error {
			require.Equal(w, bare, time.Since(began))
			require.Greater(w, held.Token(), token)

			return nil
		})
		require.NoError(w, err)
	})
}
