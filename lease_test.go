package tenure_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/clock"
	core "tenure/internal/session"
)

// Remaining decreases with time, increases with each answer, and is zero from the deadline on.
func TestLease_Remaining(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	inWorld(t, func(w *world) {
		c, n := w.far()
		l := w.hold(w.session(c, timeout))
		require.InDelta(w, core.Believed(timeout), l.Remaining(), float64(timeout/4))

		n.up.darken()
		synctest.Wait()
		before := l.Remaining()
		time.Sleep(4 * time.Second)
		require.Equal(w, before-4*time.Second, l.Remaining())
		require.WithinDuration(w, time.Now().Add(l.Remaining()), l.Deadline(), 0)

		n.up.lighten()
		time.Sleep(4 * time.Second)
		require.Greater(w, l.Remaining(), core.Believed(timeout)-timeout/4-time.Second, "the node has answered")

		n.up.darken()
		time.Sleep(l.Remaining() - time.Nanosecond)
		require.EqualValues(w, 1, l.Remaining())
		time.Sleep(time.Nanosecond)
		require.Zero(w, l.Remaining())
		synctest.Wait()
		require.Error(w, l.Context().Err())
		time.Sleep(timeout)
		require.Zero(w, l.Remaining(), "it is not negative")
		n.up.lighten()
	})
}

// Remaining is zero after a release.
func TestLease_RemainingAfterRelease(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		c, _ := w.far()
		l := w.hold(w.session(c, time.Minute))
		require.Positive(w, l.Remaining())
		require.NoError(w, l.Release())
		require.Zero(w, l.Remaining())
	})
}

// The context of a lease has the same cause whether it is asked for before or after the lease and the session end.
func TestLease_Context(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{true, false} {
		inWorld(t, func(w *world) {
			c, _ := w.far()
			s := w.session(c, time.Minute)
			acquire := func(name string) *tenure.Lease {
				l, err := s.AcquireSemaphore(w.Context(), name, coordination.Exclusive, options.WithEphemeral(true))
				require.NoError(w, err)

				return l.(*tenure.Lease)
			}
			released, held := acquire("one"), acquire("other")
			if early {
				require.NoError(w, released.Context().Err())
				require.NoError(w, held.Context().Err())
			}
			require.NoError(w, released.Release())
			if early {
				require.ErrorIs(w, context.Cause(released.Context()), tenure.ErrLeaseReleased)
			}
			require.NoError(w, held.Context().Err())
			require.NoError(w, s.Close(w.Context()))
			require.ErrorIs(w, context.Cause(released.Context()), tenure.ErrLeaseReleased)
			require.ErrorIs(w, context.Cause(held.Context()), tenure.ErrSessionClosed)
			<-released.Renewed()
			<-held.Renewed()
			require.False(w, released.Valid())
			require.False(w, held.Valid())
		})
	}
}

// ReleaseContext returns when its context ends although the server does not answer. The lease has ended, and the client
// releases the semaphore as soon as the server answers again.
func TestLease_ReleaseContext(t *testing.T) {
	t.Parallel()
	for _, connected := range []bool{true, false} {
		inWorld(t, func(w *world) {
			c, n := w.far()
			l := w.hold(w.session(c, time.Minute))
			n.up.darken()
			if !connected { // the release cannot even be sent
				l.Session().Reconnect()
				synctest.Wait()
			}
			ctx, cancel := context.WithTimeout(w.Context(), time.Second)
			defer cancel()
			began := time.Now()
			err := l.ReleaseContext(ctx)
			require.ErrorIs(w, err, context.DeadlineExceeded)
			require.EqualError(w, err, `release semaphore "job": context deadline exceeded`)
			require.Equal(w, time.Second, time.Since(began))
			require.ErrorIs(w, context.Cause(l.Context()), tenure.ErrLeaseReleased)

			n.up.lighten()
			time.Sleep(30 * time.Second)
			require.NoError(w, l.Session().Context().Err())
			near, _ := w.far()
			_, err = w.session(near, time.Minute).AcquireSemaphore(
				w.Context(), "job", coordination.Exclusive, options.WithEphemeral(true), options.WithAcquireTimeout(0))
			require.NoError(w, err)
		})
	}
}

// ReleaseContext ends the lease even if its context has ended before.
func TestLease_ReleaseContextAfterItsEnd(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		c, _ := w.far()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		require.ErrorIs(w, l.ReleaseContext(ctx), context.Canceled)
		require.Error(w, l.Context().Err())
		synctest.Wait()
		require.NoError(w, l.ReleaseContext(w.Context()), "it has ended already")
		_, err := s.DescribeSemaphore(w.Context(), "job")
		require.True(w, ydb.IsOperationError(err, Ydb.StatusIds_NOT_FOUND), "the server knows of the release")
	})
}

// Renewed tells when the deadline moves, and when the lease ends for any reason.
func TestLease_Renewed(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	inWorld(t, func(w *world) {
		c, n := w.far()
		l := w.hold(w.session(c, timeout))
		for range 3 {
			before, renewed := l.Deadline(), l.Renewed()
			select {
			case <-renewed:
				require.FailNow(w, "there was no answer yet")
			default:
			}
			<-renewed
			require.True(w, l.Deadline().After(before))
		}
		other, err := l.Session().AcquireSemaphore(w.Context(), "other", 1, options.WithEphemeral(true))
		require.NoError(w, err)
		n.up.darken()
		synctest.Wait()
		renewed := other.(*tenure.Lease).Renewed()
		_ = other.(*tenure.Lease).ReleaseContext(ended(w))
		<-renewed
		<-other.(*tenure.Lease).Renewed()

		renewed = l.Renewed()
		<-renewed // without an answer, the lease ends
		require.Error(w, l.Context().Err())
		require.Zero(w, l.Remaining())
		<-l.Renewed()
		n.up.lighten()
	})
}

// ended returns a context that has ended.
func ended(w *world) context.Context {
	ctx, cancel := context.WithCancel(w.Context())
	cancel()

	return ctx
}

// Remaining is zero after a suspension beyond the deadline, even though no timer has fired yet.
func TestLease_RemainingAfterSleep(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		clk := &clockThatSleeps{Clock: clock.Go()}
		c, _ := w.far(clk)
		l := w.hold(w.session(c, time.Minute))
		clk.sleep(time.Hour)
		require.NoError(w, l.Context().Err())
		require.Zero(w, l.Remaining())
		_, _ = w.ends(l)
	})
}
