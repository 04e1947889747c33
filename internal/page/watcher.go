package page

import (
	"context"
	"errors"
	"sync"
	"time"

	"tenure/internal/clock"
)

const (
	period       = time.Second      // between two snapshots
	slowPeriod   = 10 * time.Second // the same, if there are many semaphores
	many         = 10_000
	forgetAfter  = 30 * time.Second // how long a snapshot is kept when nobody looks
	maxViewers   = 128
	maxViewersOf = 32 // one user
)

// errClosed reports that the page has been closed.
var errClosed = errors.New("the page is closed")

// watcher takes snapshots for all viewers. Its goroutine runs while there are viewers. Requests without a viewer share
// a snapshot that is not older than the period.
type watcher struct {
	clock  clock.Clock
	take   func(ctx context.Context, last *snapshot) *snapshot
	ctx    context.Context //nolint:containedctx // ends with close
	cancel context.CancelFunc
	taking chan struct{} // holds a value while a snapshot is taken
	forget clock.Timer

	mu      sync.Mutex // guards the fields below
	last    *snapshot
	taken   clock.Instant
	stale   bool          // something has happened since the last snapshot
	changed chan struct{} // closed at the next snapshot
	viewers int
	of      map[string]int // viewers by their user
	running bool
}

func newWatcher(clk clock.Clock, take func(context.Context, *snapshot) *snapshot) *watcher {
	w := &watcher{
		clock: clk, take: take, taking: make(chan struct{}, 1), changed: make(chan struct{}), of: make(map[string]int),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.forget = clk.NewAlarm(w.drop)

	return w
}

func (w *watcher) close() {
	w.cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget.Stop()
}

// enter adds a viewer of the user, unless there are too many. The viewer must call leave. The user is empty if the
// server knows no users.
func (w *watcher) enter(user string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.viewers == maxViewers || user != "" && w.of[user] == maxViewersOf || w.ctx.Err() != nil {
		return false
	}
	w.viewers++
	w.of[user]++
	if !w.running {
		w.running = true
		go w.run() // ends when there are no viewers
	}

	return true
}

func (w *watcher) leave(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.viewers--
	if w.of[user]--; w.of[user] == 0 {
		delete(w.of, user)
	}
	w.forgetLater()
}

// run takes snapshots until there are no viewers.
func (w *watcher) run() {
	for {
		_, _ = w.current(w.ctx)
		clock.Pause(w.ctx, w.clock, w.period())
		w.mu.Lock()
		if w.viewers == 0 || w.ctx.Err() != nil {
			w.running = false
			w.mu.Unlock()

			return
		}
		w.mu.Unlock()
	}
}

func (w *watcher) period() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.periodNow()
}

// periodNow is called with mu held.
func (w *watcher) periodNow() time.Duration {
	if w.last != nil && w.last.semaphores > many {
		return slowPeriod
	}

	return period
}

// current returns a snapshot that is not older than the period.
func (w *watcher) current(ctx context.Context) (*snapshot, error) {
	if s := w.fresh(); s != nil {
		return s, nil
	}
	select {
	case w.taking <- struct{}{}:
		defer func() { <-w.taking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.ctx.Done():
		return nil, errClosed
	}
	if s := w.fresh(); s != nil { // somebody else has taken one meanwhile
		return s, nil
	}
	if w.ctx.Err() != nil {
		return nil, errClosed
	}
	w.mu.Lock()
	w.stale = false
	last := w.last
	w.mu.Unlock()
	now := w.clock.Now()
	s := w.take(w.ctx, last)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.taken = s, now
	close(w.changed)
	w.changed = make(chan struct{})
	w.forgetLater()

	return s, nil
}

// fresh returns the last snapshot if it is not too old.
func (w *watcher) fresh() *snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil || w.stale || w.clock.Now().Sub(w.taken) >= w.periodNow() {
		return nil
	}

	return w.last
}

// latest returns the last snapshot, or nil, and a channel that is closed at the next one.
func (w *watcher) latest() (s *snapshot, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.last, w.changed
}

// invalidate makes the next request see what has just been done.
func (w *watcher) invalidate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stale = true
}

// forgetLater is called with mu held. A snapshot of a large server takes much memory, so it is not kept for nobody.
func (w *watcher) forgetLater() {
	if w.viewers == 0 && w.ctx.Err() == nil {
		now := w.clock.Now()
		w.forget.Set(now, now.Add(forgetAfter))
	}
}

func (w *watcher) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.viewers == 0 && w.clock.Now().Sub(w.taken) >= slowPeriod {
		w.last = nil
	}
}
