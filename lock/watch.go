package lock

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/term"
)

// The pauses between descriptions of a semaphore. With n waiters that watch it, the server answers at most 100
// descriptions per second, or n of them if n is below 100. A description with waiters has n entries, so they come more
// rarely: the server then sends 10 n entries per second to all of them together, and not n².
const (
	minPause      = time.Second            // between two descriptions
	pausePer      = 10 * time.Millisecond  // more for each waiter
	pollPause     = 5 * time.Second        // until the next description with waiters if the watch reports no change
	pollPer       = 100 * time.Millisecond // more for each waiter
	missingPause  = time.Second            // between two descriptions of a semaphore that does not exist
	spreadPer     = time.Millisecond       // a random pause after a change for each waiter, because all of them notice it
	queuedMoment  = 500 * time.Millisecond // how long a session waits before it describes the semaphore
	electedMoment = 50 * time.Millisecond  // the same in Elect
)

// A watcher describes a semaphore again and again.
type watcher struct {
	term  *term.Term
	name  string
	clock clock.Clock

	waiters int // the number in the last description with waiters
}

// run calls update with each state of the semaphore until ctx or the session ends. The state is nil if the semaphore
// does not exist. Waiters reports whether the state contains the waiters, which run asks for only if queue is set, and
// not each time.
func (w *watcher) run(ctx context.Context, queue bool, update func(found *term.State, waiters bool)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.term.Context(), cancel)()

	var polled clock.Instant // when the waiters were described last
	for ctx.Err() == nil {
		full := queue && (polled == 0 || w.clock.Now().Sub(polled) >= w.poll())
		changed := make(chan struct{}, 1) // the handler is called at most once
		found, err := w.term.Look(ctx, w.name, options.WithDescribeWaiters(full),
			options.WithSemaphoreWatch(options.WatchOwners, func(options.SemaphoreWatchEvent) { changed <- struct{}{} }))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !term.Missing(err):
			clock.Pause(ctx, w.clock, minPause)

			continue
		case err != nil || found.Missing():
			update(nil, false)
			clock.Pause(ctx, w.clock, missingPause)

			continue
		}
		if full {
			polled, w.waiters = w.clock.Now(), len(found.Waiters)
		}
		update(found, full)
		w.await(ctx, changed)
	}
}

func (w *watcher) poll() time.Duration { return max(pollPause, w.per(pollPer)) }

func (w *watcher) per(d time.Duration) time.Duration { return time.Duration(w.waiters) * d }

// await returns when it is time for the next description.
func (w *watcher) await(ctx context.Context, changed <-chan struct{}) {
	pause := max(minPause, w.per(pausePer))
	if !clock.Pause(ctx, w.clock, pause) {
		return
	}
	limited, cancel := context.WithTimeout(ctx, w.poll()-min(pause, w.poll()))
	defer cancel()
	select {
	case <-changed:
		if spread := w.per(spreadPer); spread > 0 {
			clock.Pause(ctx, w.clock, rand.N(spread)) //nolint:gosec // not a secret
		}
	case <-limited.Done():
	}
}
