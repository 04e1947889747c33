package tenure_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	core "tenure/internal/session"
)

// closing closes a session with a context that ends after the given time. It returns how long Close took.
func (w *world) closing(s *tenure.Session, limit time.Duration) (time.Duration, error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), limit)
	defer cancel()
	from := time.Now()
	err := s.Close(ctx)
	require.ErrorIs(w, context.Cause(s.Context()), tenure.ErrSessionClosed)

	return time.Since(from), err
}

// Close of a connected session releases its leases immediately. Calling Close again is a no-op, whatever the context.
func TestClose_HandsOver(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		rival := w.rival()
		from := time.Now()
		took, err := w.closing(s, time.Second)
		require.NoError(w, err)
		require.Zero(w, took)
		require.ErrorIs(w, context.Cause(l.Context()), tenure.ErrSessionClosed)
		require.False(w, l.Valid())
		w.granted(rival)
		require.Zero(w, time.Since(from))
		_, err = w.closing(s, 0)
		require.NoError(w, err)
		require.ErrorIs(w, l.Release(), coordination.ErrSessionClosed)
	})
}

// Close returns when its context ends if the server cannot be reached, whatever the state of the session.
func TestClose_Unreachable(t *testing.T) {
	for name, prepare := range map[string]func(*world, *network, *tenure.Session){
		"attached":         func(*world, *network, *tenure.Session) {},
		"attaching":        func(_ *world, _ *network, s *tenure.Session) { s.Reconnect() },
		"between attempts": func(_ *world, n *network, _ *tenure.Session) { n.refuse.Store(true); n.cut() },
		"a call outstanding": func(_ *world, _ *network, s *tenure.Session) {
			go func() { _ = s.DeleteSemaphore(s.Context(), "x") }()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c, n := w.far()
				s := w.session(c, time.Minute)
				l := w.hold(s)
				n.up.darken()
				prepare(w, n, s)
				synctest.Wait()
				took, err := w.closing(s, 3*time.Second)
				require.ErrorIs(w, err, context.DeadlineExceeded)
				require.ErrorContains(w, err, path)
				require.Equal(w, 3*time.Second, took)
				require.Error(w, l.Context().Err())
				n.up.lighten()
			})
		})
	}
}

// If the server stays unreachable, Close returns at the session's deadline at the latest, because there is nothing left
// to stop.
func TestClose_UnreachableUntilDeadline(t *testing.T) {
	inWorld(t, func(w *world) {
		c, n := w.far()
		s := w.session(c, tenure.DefaultSessionTimeout)
		n.up.darken()
		took, err := w.closing(s, time.Hour)
		require.NoError(w, err)
		require.LessOrEqual(w, took, core.Believed(tenure.DefaultSessionTimeout))
		n.up.lighten()
	})
}

// Close sends the stop again if the stream breaks before the answer.
func TestClose_StopIsRepeated(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s := w.session(c, time.Minute)
		w.hold(s)
		rival := w.rival()
		var stops atomic.Int32 // counted by the goroutines of several streams
		f.onRequest(func(r *relay, m *pb.SessionRequest) bool {
			if m.GetSessionStop() == nil {
				return true
			}
			stop := stops.Add(1)
			if stop < 3 {
				r.end()
			}

			return stop == 3
		})
		_, err := w.closing(s, 10*time.Second)
		require.NoError(w, err)
		synctest.Wait()
		require.Equal(w, int32(3), stops.Load())
		w.granted(rival)
	})
}

// Close with a context that has ended returns immediately. The session is stopped at the server nevertheless.
func TestClose_ContextHasEnded(t *testing.T) {
	inWorld(t, func(w *world) {
		c, n := w.far()
		n.down.slow(time.Millisecond) // so that the answer cannot come first
		s := w.session(c, time.Minute)
		w.hold(s)
		rival := w.rival()
		from := time.Now()
		_, err := w.closing(s, 0)
		require.ErrorIs(w, err, context.DeadlineExceeded)
		w.granted(rival)
		require.Less(w, time.Since(from), 100*time.Millisecond)
	})
}

// If the context ends while a session is being opened, no session is left behind, and Close of the client has nothing
// to wait for.
func TestClose_GivenUpOpening(t *testing.T) {
	inWorld(t, func(w *world) {
		c, n := w.far()
		for _, darken := range darkness {
			darken(n, (*lane).darken)
			ctx, cancel := context.WithTimeout(w.Context(), 1700*time.Millisecond)
			_, err := c.Session(ctx, path)
			cancel()
			require.ErrorIs(w, err, context.DeadlineExceeded)
			require.ErrorContains(w, err, path)
			darken(n, (*lane).lighten)
		}
		require.NoError(w, c.Close(w.Context()))
	})
}

// Closing a client closes its sessions, and then refuses new ones.
func TestClose_Client(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		l := w.hold(w.session(c, time.Minute))
		other := w.session(c, time.Minute)
		rival := w.rival()
		from := time.Now()
		require.NoError(w, c.Close(w.Context()))
		require.ErrorIs(w, context.Cause(l.Context()), tenure.ErrSessionClosed)
		require.ErrorIs(w, context.Cause(other.Context()), tenure.ErrSessionClosed)
		w.granted(rival)
		require.Zero(w, time.Since(from))
		_, err := c.Session(w.Context(), path)
		require.ErrorContains(w, err, "the client is closed")
		_, _, err = c.DescribeNode(w.Context(), path)
		require.EqualError(w, err, `describe node "/local/test": the client is closed`)
		require.NoError(w, c.Close(w.Context()))
	})
}

// Close of a client that cannot reach its server returns when its context ends, and leaves no goroutines behind.
func TestClose_ClientUnreachable(t *testing.T) {
	inWorld(t, func(w *world) {
		c, n := w.far()
		w.session(c, time.Hour/2)
		w.session(c, time.Hour/2)
		n.up.darken()
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		from := time.Now()
		require.ErrorIs(w, c.Close(ctx), context.DeadlineExceeded)
		require.Equal(w, time.Second, time.Since(from))
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)] // no other test runs at the same time
		require.NotContains(w, string(stacks), "tenure.(*Session)")
		n.up.lighten()
	})
}

// Sessions that are opened while the client is being closed end as well.
func TestClose_ClientWhileOpening(t *testing.T) {
	inWorld(t, func(w *world) {
		for range 200 {
			c, _ := w.far()
			var opening sync.WaitGroup
			for range 4 {
				opening.Go(func() {
					s, err := c.Session(w.Context(), path)
					if err == nil {
						<-s.Context().Done()
					}
				})
			}
			opening.Go(func() { require.NoError(w, c.Close(w.Context())) })
			opening.Wait()
		}
	})
}

// Every waiting call ends with the session and returns an error that wraps ErrSessionClosed.
func TestClose_EndsCalls(t *testing.T) {
	inWorld(t, func(w *world) {
		w.hold(w.session(w.client(w.direct()), time.Minute))
		c, n := w.far()
		s := w.session(c, time.Minute)
		errs := make(chan error, 5)
		go func() {
			_, err := s.AcquireSemaphore(w.Context(), "job", 1, options.WithEphemeral(true))
			errs <- err
		}()
		synctest.Wait()
		n.up.darken()
		go func() { errs <- s.UpdateSemaphore(w.Context(), "job") }()
		go func() { errs <- s.CreateSemaphore(w.Context(), "x", 1) }()
		go func() { errs <- s.DeleteSemaphore(w.Context(), "x") }()
		go func() {
			_, err := s.DescribeSemaphore(w.Context(), "job")
			errs <- err
		}()
		synctest.Wait()
		_, err := w.closing(s, 0)
		require.Error(w, err)
		var unknown int
		for range cap(errs) {
			err := <-errs
			require.ErrorIs(w, err, coordination.ErrSessionClosed)
			if errors.Is(err, coordination.ErrOperationStatusUnknown) {
				unknown++
			}
		}
		require.Equal(w, 3, unknown, "the outcome of create, update and delete is unknown")
		n.up.lighten()
	})
}
