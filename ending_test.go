package tenure_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"

	"tenure"
	"tenure/internal/clientconfig"
)

// end ends a session of another client.
func (w *world) end(by, of *tenure.Session) error {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
	defer cancel()

	return clientconfig.FromContext(by.Context()).End(ctx, of.SessionID(), clientconfig.FromContext(of.Context()).Key())
}

// The end of another session hands its semaphores over immediately, and its client cannot attach to it again.
func TestEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		c, n := w.far()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		n.up.darken() // as if the process was dead
		by := w.session(w.client(w.direct()), time.Minute)
		rival := w.session(w.client(w.direct()), time.Minute)
		from := time.Now()
		_, err := w.closing(s, 0)
		require.Error(w, err, "the server does not hear of it")
		require.NoError(w, w.end(by, s))
		w.hold(rival)
		require.Zero(w, time.Since(from))
		require.Error(w, l.Context().Err())
		require.NoError(w, w.end(by, s), "the session does not exist any longer")
		n.up.lighten()
	})
}

// The end of a session with a wrong key fails, and the session lives on.
func TestEnd_WrongKey(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.session(w.client(w.direct()), time.Second)
		l := w.hold(s)
		by := w.session(w.client(w.direct()), time.Second)
		err := clientconfig.FromContext(by.Context()).End(w.Context(), s.SessionID(), []byte("wrong"))
		var status *tenure.StatusError
		require.ErrorAs(w, err, &status)
		require.Equal(w, Ydb.StatusIds_BAD_SESSION, status.Status)
		w.lives(l, 5*time.Second)
	})
}

// End waits for a server that is away until its context ends.
func TestEnd_Unreachable(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.session(w.client(w.direct()), time.Minute)
		c, n := w.far()
		by := w.session(c, time.Minute)
		n.refuse.Store(true)
		n.cut()
		from := time.Now()
		require.ErrorIs(w, w.end(by, s), context.DeadlineExceeded)
		require.Equal(w, 5*time.Second, time.Since(from))
	})
}
