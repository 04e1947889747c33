package tenure_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

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
