package lock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/lock"
)

const grace = 2 * time.Second

// A timedService is a service with a client whose leases report their remaining time. The test sets that time.
type timedService struct {
	*coordtest.Service

	mu       sync.Mutex // guards the rest
	deadline time.Time  // of all leases
	looks    int        // the number of calls of Remaining
}

// last makes all leases end at d from now, as an answer of the server does. Tests only move the end to a later time.
func (s *timedService) last(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = time.Now().Add(d)
}

func (s *timedService) Session(
	ctx context.Context, path string, opts ...options.SessionOption,
) (coordination.Session, error) {
	session, err := s.Service.Session(ctx, path, opts...)

	return &timedSession{session, s}, err
}

type timedSession struct {
	coordination.Session

	service *timedService
}

func (s *timedSession) AcquireSemaphore(
	ctx context.Context, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) (coordination.Lease, error) {
	lease, err := s.Session.AcquireSemaphore(ctx, name, count, opts...)
	if err != nil {
		return nil, err
	}
	s.service.last(timeout)

	return &timedLease{lease, s.service}, nil
}

type timedLease struct {
	coordination.Lease

	service *timedService
}

func (l *timedLease) Remaining() time.Duration {
	l.service.mu.Lock()
	defer l.service.mu.Unlock()
	l.service.looks++

	return max(0, time.Until(l.service.deadline))
}

// startTimed runs the lock with a grace, and with work that returns when linger has passed since its context ended.
func startTimed(t *testing.T, linger time.Duration) (*runner, *timedService) {
	t.Helper()
	service := &timedService{Service: coordtest.NewService()}
	r := start(t, service, linger, lock.WithGrace(grace))
	require.Equal(t, 1, r.workingAfter(soon))

	return r, service
}

// workingAfter waits for d and returns how often work has been called by then.
func (r *runner) workingAfter(d time.Duration) int {
	time.Sleep(d)

	return r.working()
}

// Elect cancels the context of work exactly when the remaining time falls to the grace. If work returns within the
// grace, Elect releases the lock.
func TestElect_GraceBeforeLoss(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		r, service := startTimed(t, grace/2)
		service.last(timeout)
		time.Sleep(timeout - grace - time.Nanosecond)
		synctest.Wait()
		require.Empty(t, r.ended)
		require.Equal(t, "waiting acquired", r.story())

		time.Sleep(time.Nanosecond)
		require.Equal(t, "waiting acquired danger", r.story(), "reported while work continues")
		require.Len(t, r.ended, 1)
		require.ErrorIs(t, r.ended[0], lock.ErrLost)
		require.EqualError(t, r.ended[0], `lock "lock": lease lost: the server does not answer, `+
			"and the lease may be granted to someone else in 2s")
		require.NotZero(t, service.Owner(path, name))

		service.last(timeout) // too late
		time.Sleep(grace/2 + soon)
		require.Equal(t, "waiting acquired danger safe released retry waiting acquired", r.story())
		require.NoError(t, r.end(t))
		require.Equal(t, 2, r.working())
		require.Zero(t, service.Owner(path, name))
	})
}

// As long as the server answers in time, the lease is never in danger, and Elect reads the remaining time no more often
// than necessary.
func TestElect_AnswersPreventDanger(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		r, service := startTimed(t, 0)
		const hours = 10
		service.looks = 0
		for began := time.Now(); time.Since(began) < hours*time.Hour; {
			service.last(timeout)
			time.Sleep(timeout / 4)
		}
		require.Equal(t, "waiting acquired", r.story())
		require.LessOrEqual(t, service.looks, int(hours*time.Hour/(timeout-grace-timeout/4))+1)
		require.NoError(t, r.end(t))
	})
}

// If the lease ends before work returns, there is nothing to release.
func TestElect_LostDuringGrace(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		r, service := startTimed(t, grace+time.Second)
		time.Sleep(timeout - grace)
		require.Equal(t, "waiting acquired danger", r.story())
		time.Sleep(grace)
		require.True(t, service.Break(r.session(), errors.New("unplugged")))
		require.Equal(t, "waiting acquired danger lost", r.story())
		time.Sleep(time.Second)
		require.Equal(t, "waiting acquired danger lost retry waiting", r.story())
		time.Sleep(timeout) // the dead session leaves the queue
		require.Equal(t, 2, r.working())
		require.NoError(t, r.end(t))
	})
}

// If the lock is lost without warning, there is no grace, and the cause is the client's.
func TestElect_LostWithoutGrace(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		r, service := startTimed(t, 0)
		unplugged := errors.New("unplugged")
		require.True(t, service.Break(r.session(), unplugged))
		time.Sleep(soon)
		require.Equal(t, "waiting acquired lost retry waiting", r.story())
		require.ErrorIs(t, r.ended[0], unplugged)
		time.Sleep(timeout)
		require.NoError(t, r.end(t))
	})
}

// Elect ignores what work returns after the lease was in danger, because work was interrupted.
func TestElect_IgnoresResultAfterDanger(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := &timedService{Service: coordtest.NewService()}
		var r runner
		r.run(t.Context(), service, func(ctx context.Context) error {
			if len(r.began) == 2 {
				return nil
			}
			<-ctx.Done()

			return errors.New("ignored")
		}, lock.WithGrace(grace))
		require.NoError(t, <-r.done)
		require.Equal(t, "waiting acquired danger released retry waiting acquired released", r.story())
	})
}

// If ctx ends before the lease is in danger, the danger does not change what Elect returns.
func TestElect_DangerAfterEndOfContext(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		r, _ := startTimed(t, grace)
		time.Sleep(timeout - grace - time.Second)
		r.stop(errStopped)
		time.Sleep(time.Second)
		require.Equal(t, "waiting acquired danger", r.story())
		require.Equal(t, []error{errStopped}, r.ended)
		require.Equal(t, errStopped, <-r.done)
		require.Equal(t, "waiting acquired danger released", r.story())
	})
}

func TestElect_GraceNeedsRemainingTime(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		r := start(t, service, 0, lock.WithGrace(grace))
		require.EqualError(t, <-r.done, `lock "lock": a grace needs leases that report their remaining time, and `+
			`those of this client do not: use the client of package tenure`)
		require.Zero(t, r.working())
		require.Equal(t, "waiting", r.story())
		require.Zero(t, service.Owner(path, name))
	})
}

func TestHeld_Lease(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := &timedService{Service: coordtest.NewService()}
		held, err := lock.Acquire(t.Context(), service, path, name)
		require.NoError(t, err)
		require.IsType(t, &timedLease{}, held.Lease())
		require.Equal(t, held.SessionID(), held.Lease().Session().SessionID())
		require.NoError(t, held.Release(t.Context()))
	})
}
