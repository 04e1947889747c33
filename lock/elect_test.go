package lock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/lock"
)

// Candidates and observers learn who leads, and what data the leader shows.
func TestElect_Leader(t *testing.T) {
	t.Parallel()
	for which, client := range clients(t) {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			leads := make(chan string, 1)
			campaign := func(name string) (r *recorder, stop func()) {
				ctx, cancel := context.WithCancelCause(t.Context())
				r, done := newRecorder(), make(chan error, 1)
				go func() {
					done <- lock.Elect(ctx, client, path, "leader", func(ctx context.Context, _ *lock.Held) error {
						leads <- name
						<-ctx.Done()

						return nil
					}, lock.WithData([]byte(name)), r.observer())
				}()

				return r, func() {
					cancel(errStopped)
					if err := <-done; err != nil {
						require.Equal(t, errStopped, err)
					}
				}
			}
			seen := make(chan lock.Leader, 10)
			ctx, cancel := context.WithCancelCause(t.Context())
			watched := make(chan error, 1)
			go func() {
				watched <- lock.Observe(ctx, client, path, "leader", func(l lock.Leader) { seen <- l })
			}()
			require.Equal(t, lock.Leader{}, <-seen, "nobody leads")

			first, stopFirst := campaign("first")
			require.Equal(t, "first", <-leads)
			l := await(t, first, func(l lock.Leader) bool { return l.Self })
			require.Equal(t, "first", string(l.Data))
			second, stopSecond := campaign("second")
			l.Self = false
			require.Equal(t, l, await(t, second, func(l lock.Leader) bool { return l.Session != 0 }))
			require.Equal(t, l, <-seen)

			stopFirst()
			require.Equal(t, "second", <-leads)
			l = await(t, second, func(l lock.Leader) bool { return l.Self })
			l.Self = false
			require.Equal(t, l, <-seen)
			require.Equal(t, "second", string(l.Data))
			stopSecond()
			require.Equal(t, lock.Leader{}, <-seen)
			cancel(errStopped)
			require.Equal(t, errStopped, <-watched)
		})
	}
}

// A leader that is cut off stops leading before the next one starts, learns who leads now, and can lead again.
func TestElect_LosesLeadership(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		events := newRecorder()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- lock.Elect(ctx, service, path, name, func(ctx context.Context, _ *lock.Held) error {
				<-ctx.Done()

				return nil
			}, lock.WithData([]byte("first")), events.observer())
		}()
		time.Sleep(soon)
		second := start(t, service, 0, lock.WithData([]byte("second")))
		time.Sleep(soon)
		old := service.Owner(path, name)
		require.True(t, service.Break(old, errors.New("unplugged")))
		time.Sleep(2 * timeout)
		require.Equal(t, 1, second.working())
		require.NoError(t, second.end(t))
		time.Sleep(soon)

		var told []string
		for _, l := range all[lock.Leader](events) {
			text := string(l.Data)
			if l.Self {
				text += " itself"
			}
			told = append(told, text)
		}
		require.Equal(t, []string{"first itself", "", "first", "second", "first itself"}, told,
			"until the timeout of the old session, the server names that one")
		cancel(errStopped)
		require.NoError(t, <-done)
	})
}

// An observer survives the loss of its session, and reports only changes.
func TestObserve_LostSession(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		r := start(t, service, 0)
		time.Sleep(soon)
		var seen []lock.Leader
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- lock.Observe(ctx, service, path, name, func(l lock.Leader) { seen = append(seen, l) })
		}()
		time.Sleep(soon)
		synctest.Wait()
		require.Len(t, seen, 1)
		require.Equal(t, r.session(), seen[0].Session)
		require.True(t, service.Break(r.session()+1, errors.New("unplugged")))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, seen, 1)
		require.NoError(t, r.end(t))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, lock.Leader{}, seen[1])
		cancel(errStopped)
		require.Equal(t, errStopped, <-done)
	})
}

// An observer does not need watches: a service that adds none is asked again.
func TestObserve_WithoutWatches(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		service.Unwatched = true
		r := start(t, service, 0)
		time.Sleep(soon)
		next := start(t, service, 0)
		var seen []lock.Leader
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- lock.Observe(ctx, service, path, name, func(l lock.Leader) { seen = append(seen, l) })
		}()
		time.Sleep(time.Second)
		require.NoError(t, r.end(t))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Len(t, seen, 2)
		require.Equal(t, next.session(), seen[1].Session)
		require.NoError(t, next.end(t))
		cancel(errStopped)
		require.Equal(t, errStopped, <-done)
	})
}

func TestObserve_Arguments(t *testing.T) {
	t.Parallel()
	err := lock.Observe(t.Context(), coordtest.NewService(), path, name, nil)
	require.EqualError(t, err, `lock "lock": the function is nil`)
	err = lock.Observe(t.Context(), coordtest.NewService(), path, "", func(lock.Leader) {})
	require.EqualError(t, err, `lock "": the semaphore name is empty`)
}

// When lead has returned, the observer learns that this process no longer leads, before another one can lead.
func TestElect_TellsOfItsEnd(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		var leaders []lock.Leader
		require.NoError(t, lock.Elect(t.Context(), service, path, name, func(context.Context, *lock.Held) error {
			return nil
		}, lock.WithObserver(func(e lock.Event) {
			if l, ok := e.(lock.Leader); ok {
				require.NotZero(t, service.Owner(path, name))
				leaders = append(leaders, l)
			}
		})))
		require.Len(t, leaders, 2)
		require.True(t, leaders[0].Self)
		require.Equal(t, lock.Leader{}, leaders[1])
	})
}
