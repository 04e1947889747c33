package tenure_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"go.uber.org/goleak"

	"tenure"
	"tenure/internal/clock"
	core "tenure/internal/session"
)

// strikes combine session timeouts with moments between two renewals at which a fault happens. A moment is a fraction
// of the time between renewals.
var strikes = []struct {
	timeout time.Duration
	moment  float64
}{
	{tenure.MinSessionTimeout, 0.05},
	{tenure.MinSessionTimeout, 0.8},
	{tenure.DefaultSessionTimeout, 0.4},
	{30 * time.Second, 0.95},
}

// scene is a session that holds a lease over a network, and a rival that waits for the lease.
type scene struct {
	*world
	clock   *clockThatSleeps
	client  *tenure.Client
	network *network
	session *tenure.Session
	lease   *tenure.Lease
	rival   <-chan *tenure.Lease
	timeout time.Duration
}

// strike sets up a scene for each of the strikes and calls f at the moment of the fault.
func strike(t *testing.T, f func(*scene)) {
	t.Helper()
	for _, at := range strikes {
		t.Run(fmt.Sprintf("%v+%v", at.timeout, at.moment), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := &scene{world: w, clock: &clockThatSleeps{Clock: clock.Go()}, timeout: at.timeout}
				s.client, s.network = w.far(s.clock)
				s.session = w.session(s.client, s.timeout)
				s.lease = w.hold(s.session)
				s.rival = w.rival()
				w.lives(s.lease, 2*s.timeout+time.Duration(at.moment*float64(s.timeout)/4))
				f(s)
			})
		})
	}
}

// requireEnd requires that the lease ends within the given time because of cause, and that the rival is granted after
// that.
func (s *scene) requireEnd(within time.Duration, cause error) {
	s.Helper()
	took, why := s.ends(s.lease)
	require.LessOrEqual(s, took, within)
	require.ErrorIs(s, why, cause)
	select {
	case <-s.rival:
		require.Fail(s, "the rival was granted no later than the holder's lease ended")
	default:
	}
	s.lives(s.granted(s.rival), time.Second)
	require.Equal(s, why, context.Cause(s.session.Context()))
}

// requireLife requires that the session stays alive, and that the rival gets the lease when the holder releases it.
func (s *scene) requireLife() {
	s.Helper()
	s.lives(s.lease, 4*s.timeout)
	id := s.session.SessionID()
	token, err := s.lease.Token(s.Context())
	require.NoError(s, err)
	require.EqualValues(s, 1, token)
	require.Equal(s, id, s.session.SessionID())
	require.NoError(s, s.lease.Release())
	s.granted(s.rival)
	require.NoError(s, s.session.Close(s.Context()))
}

// clockThatSleeps is the lease clock of a machine that can be suspended. Its timers stop during a suspension.
type clockThatSleeps struct {
	clock.Clock
	slept atomic.Int64
}

func (c *clockThatSleeps) Now() clock.Instant {
	return c.Clock.Now().Add(time.Duration(c.slept.Load()))
}

func (c *clockThatSleeps) sleep(d time.Duration) { c.slept.Add(int64(d)) }

var darkness = map[string]func(*network, func(*lane)){
	"up":   func(n *network, do func(*lane)) { do(&n.up) },
	"down": func(n *network, do func(*lane)) { do(&n.down) },
	"both": func(n *network, do func(*lane)) { do(&n.up); do(&n.down) },
}

// When the network goes dark in either direction or in both, the lease ends before the deadline, and only then the
// rival is granted.
func TestFault_Dark(t *testing.T) {
	t.Parallel()
	for name, lanes := range darkness {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strike(t, func(s *scene) {
				from := time.Now()
				lanes(s.network, (*lane).darken)
				s.requireEnd(core.Believed(s.timeout), tenure.ErrDeadlinePassed)
				require.Greater(s, time.Since(from), core.Believed(s.timeout)-s.timeout/4)
				lanes(s.network, (*lane).lighten)
			})
		})
	}
}

// A network outage of half the timeout is harmless.
func TestFault_ShortDark(t *testing.T) {
	t.Parallel()
	for name, lanes := range darkness {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strike(t, func(s *scene) {
				lanes(s.network, (*lane).darken)
				s.lives(s.lease, s.timeout/2)
				lanes(s.network, (*lane).lighten)
				s.requireLife()
			})
		})
	}
}

// Broken connections are harmless, even repeatedly, as long as new ones can be made.
func TestFault_Cut(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		for range 5 {
			s.network.cut()
			s.lives(s.lease, 2*s.timeout)
		}
		s.requireLife()
	})
}

// Answers that arrive after the deadline of their own request prove nothing.
func TestFault_LateAnswers(t *testing.T) {
	t.Parallel()
	for _, late := range []float64{0.99, 1.5, 2} {
		t.Run(fmt.Sprint(late), func(t *testing.T) {
			t.Parallel()
			strike(t, func(s *scene) {
				s.network.down.slow(time.Duration(late * float64(s.timeout)))
				s.requireEnd(core.Believed(s.timeout), tenure.ErrDeadlinePassed)
			})
		})
	}
}

// Slow answers are harmless.
func TestFault_SlowAnswers(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		slow := min(s.timeout/10, 400*time.Millisecond) // an attach may take 1s
		s.network.down.slow(slow)
		s.network.up.slow(slow)
		s.requireLife()
	})
}

// After a suspension beyond the deadline, the lease is invalid immediately, even though no timer has fired yet. Its
// context ends when the next timer fires, within a quarter of the timeout, the time between renewals.
func TestFault_Suspension(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		s.clock.sleep(core.Believed(s.timeout))
		require.False(s, s.lease.Valid())
		took, why := s.ends(s.lease)
		require.LessOrEqual(s, took, s.timeout/4)
		require.ErrorIs(s, why, tenure.ErrDeadlinePassed)
	})
}

// A call right after the suspension first ends the lease.
func TestFault_SuspensionIsSeenByCalls(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		s.clock.sleep(core.Believed(s.timeout))
		_, err := s.session.DescribeSemaphore(s.Context(), "job")
		require.ErrorIs(s, err, tenure.ErrDeadlinePassed)
		require.ErrorIs(s, context.Cause(s.lease.Context()), tenure.ErrDeadlinePassed)
	})
}

// A short suspension is harmless.
func TestFault_ShortSuspension(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		s.clock.sleep(s.timeout / 2)
		require.True(s, s.lease.Valid())
		s.requireLife()
	})
}

// A server that restarts with its data keeps the session.
func TestFault_Restart(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		s.stop()
		s.start()
		s.requireLife()
	})
}

// A server that restarts without its data reports that the session does not exist, which ends the session immediately.
func TestFault_RestartWithoutRecords(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		from := time.Now()
		s.forget()
		_, why := s.ends(s.lease)
		require.LessOrEqual(s, time.Since(from), min(300*time.Millisecond, core.Believed(s.timeout)))
		require.ErrorIs(s, why, tenure.ErrSessionExpired)
		require.True(s, ydb.IsOperationError(why), "the cause lacks the server's status: %v", why)
		s.hold(s.world.session(s.client, time.Second))
	})
}

// A watch handler that blocks delays neither renewals nor the deadline.
func TestFault_StuckHandler(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		stuck, called := make(chan struct{}), make(chan struct{})
		_, err := s.session.DescribeSemaphore(s.Context(), "job", options.WithSemaphoreWatch(options.WatchOwners,
			func(options.SemaphoreWatchEvent) { close(called); <-stuck }))
		require.NoError(s, err)
		defer close(stuck)
		s.session.Reconnect()
		<-called
		s.lives(s.lease, 3*s.timeout)
		darkness["both"](s.network, (*lane).darken)
		s.requireEnd(core.Believed(s.timeout), tenure.ErrDeadlinePassed)
	})
}

// A blocked Send delays neither calls nor the deadline.
func TestFault_BlockedSend(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		s.network.up.darken()
		data := make([]byte, 1<<20) // more than gRPC sends before the other end reads
		ended := make(chan error, 1)
		from := time.Now()
		go func() { ended <- s.session.CreateSemaphore(s.Context(), "large", 1, options.WithCreateData(data)) }()
		synctest.Wait()
		require.Zero(s, time.Since(from))
		s.requireEnd(core.Believed(s.timeout), tenure.ErrDeadlinePassed)
		require.Error(s, <-ended)
	})
}

// If answers arrive more slowly than the client sends requests, the session loses its streams and in the end the lease.
// The rival is granted only after that.
func TestFault_SlowConsumer(t *testing.T) {
	t.Parallel()
	strike(t, func(s *scene) {
		require.NoError(s, s.session.CreateSemaphore(s.Context(), "large", 1,
			options.WithCreateData(make([]byte, 1<<16))))
		s.network.down.throttle(s.timeout / 100)
		for range 30 {
			go func() { _, _ = s.session.DescribeSemaphore(s.session.Context(), "large") }()
		}
		_, why := s.ends(s.lease)
		require.ErrorIs(s, why, tenure.ErrDeadlinePassed)
		s.granted(s.rival)
	})
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
