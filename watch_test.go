package tenure_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
)

func data(text string) options.UpdateSemaphoreOption { return options.WithUpdateData([]byte(text)) }

// watched creates the semaphore x. It returns one session behind a network for watching it, and another for changing
// it.
func (w *world) watched() (watcher, changer *tenure.Session, n *network) {
	c, n := w.far()
	watcher, changer = w.session(c, time.Minute), w.session(w.client(w.direct()), time.Minute)
	require.NoError(w, changer.CreateSemaphore(w.Context(), "x", 2))

	return watcher, changer, n
}

// A handler is called once, with what has changed. It runs in a separate goroutine, so it may subscribe again.
func TestWatch_OneShot(t *testing.T) {
	inWorld(t, func(w *world) {
		watcher, changer, _ := w.watched()
		events := make(chan options.SemaphoreWatchEvent, 10)
		var handler func(options.SemaphoreWatchEvent)
		handler = func(e options.SemaphoreWatchEvent) {
			events <- e
			if e.DataChanged {
				_, _ = watcher.DescribeSemaphore(w.Context(), "x", options.WithSemaphoreWatch(options.WatchOwners, handler))
			}
		}
		_, err := watcher.DescribeSemaphore(w.Context(), "x", options.WithSemaphoreWatch(options.WatchData, handler))
		require.NoError(w, err)
		_, err = changer.AcquireSemaphore(w.Context(), "x", 1)
		require.NoError(w, err)
		require.NoError(w, changer.UpdateSemaphore(w.Context(), "x", data("1")))
		synctest.Wait()
		require.NoError(w, changer.UpdateSemaphore(w.Context(), "x", data("2")))
		require.Equal(w, options.SemaphoreWatchEvent{DataChanged: true}, <-events)
		require.NoError(w, changer.DeleteSemaphore(w.Context(), "x", options.WithForceDelete(true)))
		require.True(w, (<-events).OwnersChanged, "S6")
		synctest.Wait()
		require.Empty(w, events)
	})
}

// A handler is called once with Lost when its watch ends with the stream or the session, or is replaced by a newer one.
func TestWatch_Lost(t *testing.T) {
	for name, lose := range map[string]func(*world, *tenure.Session, *network){
		"stream":    func(_ *world, s *tenure.Session, _ *network) { s.Reconnect() },
		"cut":       func(_ *world, _ *tenure.Session, n *network) { n.cut() },
		"closed":    func(w *world, s *tenure.Session, _ *network) { _, _ = w.closing(s, time.Second) },
		"restarted": func(w *world, _ *tenure.Session, _ *network) { w.stop(); w.start() },
		"replaced": func(w *world, s *tenure.Session, _ *network) {
			_, err := s.DescribeSemaphore(w.Context(), "x", options.WithSemaphoreWatch(options.WatchData,
				func(options.SemaphoreWatchEvent) {}))
			require.NoError(w, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				watcher, _, n := w.watched()
				var calls atomic.Int32
				events := make(chan options.SemaphoreWatchEvent, 1)
				_, err := watcher.DescribeSemaphore(w.Context(), "x", options.WithSemaphoreWatch(options.WatchData,
					func(e options.SemaphoreWatchEvent) { calls.Add(1); events <- e }))
				require.NoError(w, err)
				lose(w, watcher, n)
				require.Equal(w, options.SemaphoreWatchEvent{Lost: true}, <-events)
				time.Sleep(time.Minute)
				require.EqualValues(w, 1, calls.Load())
			})
		})
	}
}

// The iterator always reports the last state, however many changes there are and whatever happens to its stream.
func TestWatch_IteratorSeesTheLastState(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				random := rand.New(rand.NewPCG(seed, seed))
				watcher, changer, n := w.watched()
				n.down.slow(time.Duration(random.IntN(20)) * time.Millisecond)
				ctx, cancel := context.WithCancel(w.Context())
				var last atomic.Pointer[coordination.SemaphoreDescription]
				ended := make(chan error, 1)
				go func() {
					for d, err := range watcher.WatchSemaphore(ctx, "x") {
						if err != nil {
							ended <- err
						}
						if d != nil {
							last.Store(d)
						}
					}
				}()
				var lease coordination.Lease
				for change := range 60 {
					switch random.IntN(4) {
					case 0:
						n.cut()
					case 1:
						watcher.Reconnect()
					}
					if random.IntN(2) == 0 {
						require.NoError(w, changer.UpdateSemaphore(w.Context(), "x", data(fmt.Sprint(change))))
					} else if lease == nil {
						var err error
						lease, err = changer.AcquireSemaphore(w.Context(), "x", 1)
						require.NoError(w, err)
					} else {
						require.NoError(w, lease.Release())
						lease = nil
					}
					time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
				}
				time.Sleep(20 * time.Second) // so that the last state can arrive
				want := w.describe(changer, "x")
				require.Equal(w, want, last.Load())
				cancel()
				require.ErrorIs(w, <-ended, context.Canceled)
			})
		})
	}
}

// The iterator ends with a break, when the semaphore is deleted, and with the session.
func TestWatch_IteratorEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		watcher, changer, _ := w.watched()
		var states int
		for d, err := range watcher.WatchSemaphore(w.Context(), "x") { // ends with a break
			require.NoError(w, err)
			require.Equal(w, "x", d.Name)

			break
		}
		for _, err := range watcher.WatchSemaphore(w.Context(), "x") { // ends when the semaphore is deleted
			if states++; states == 1 {
				require.NoError(w, err)
				require.NoError(w, changer.DeleteSemaphore(w.Context(), "x"))

				continue
			}
			require.True(w, ydb.IsOperationErrorNotFoundError(err))
		}
		require.Equal(w, 2, states)
		require.NoError(w, changer.CreateSemaphore(w.Context(), "x", 1))
		for _, err := range watcher.WatchSemaphore(w.Context(), "x") { // ends with the session
			if err == nil {
				require.NoError(w, watcher.Close(w.Context()))

				continue
			}
			require.ErrorIs(w, err, coordination.ErrSessionClosed)
		}
	})
}

// Two iterators of a session share its only watch, without describing the semaphore over and over again.
func TestWatch_TwoIterators(t *testing.T) {
	inWorld(t, func(w *world) {
		watcher, changer, _ := w.watched()
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		var last [2]atomic.Pointer[coordination.SemaphoreDescription]
		var states atomic.Int32
		for i := range last {
			go func() {
				for d, err := range watcher.WatchSemaphore(ctx, "x") {
					if err != nil {
						return
					}
					states.Add(1)
					last[i].Store(d)
				}
			}()
		}
		for i := range 10 {
			require.NoError(w, changer.UpdateSemaphore(w.Context(), "x", data(fmt.Sprint(i))))
			time.Sleep(time.Second)
			for i := range last {
				require.Equal(w, w.describe(changer, "x"), last[i].Load())
			}
		}
		require.LessOrEqual(w, states.Load(), int32(2*10*(10+1)))
	})
}
