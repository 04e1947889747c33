package look

import (
	"context"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/term"
	"tenure/internal/ydberr"
)

const (
	// missingPause is the time between two looks at a semaphore that does not exist, which cannot be watched.
	missingPause = 250 * time.Millisecond

	// againPause is the time until the next attempt after a session was lost or could not be opened.
	againPause = time.Second
)

// A Watcher watches a semaphore.
type Watcher struct {
	Open  func(context.Context) (coordination.Session, error) // opens a session on the node
	Name  string
	Clock clock.Clock

	Changed func(Change) error // receives the first state, and each change; an error ends Run
	Lost    func(error)        // receives the reason why Run looks again later; Changed continues from the state before

	history history
}

// Run watches until ctx ends, and returns its cause. It neither creates nor changes anything: a node that does not
// exist is free of locks. A permanent error of the server ends Run too.
func (w *Watcher) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		session, err := w.Open(ctx)
		switch {
		case ydberr.NoNode(err):
			if err := w.saw(Free(w.Name), false); err != nil {
				return err
			}
			clock.Pause(ctx, w.Clock, againPause)

			continue
		case err == nil:
			var ended bool
			ended, err = w.watch(ctx, session)
			limited, cancel := term.Farewell(ctx)
			_ = session.Close(limited) // if it fails, the session times out, and it owns nothing
			cancel()
			if ended {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
		case ydberr.Permanent(err):
			return err
		default:
			w.Lost(err)
			clock.Pause(ctx, w.Clock, againPause)
		}
	}

	return context.Cause(ctx)
}

// watch watches the semaphore in the session. If ended is false, the session has failed and another one may help.
func (w *Watcher) watch(ctx context.Context, session coordination.Session) (ended bool, err error) {
	for fired := false; ctx.Err() == nil; {
		events := make(chan options.SemaphoreWatchEvent, 1) // the handler is called once
		s, found, err := Describe(ctx, session, w.Name,
			options.WithSemaphoreWatch(options.WatchData|options.WatchOwners,
				func(e options.SemaphoreWatchEvent) { events <- e }))
		if err != nil {
			return false, err
		}
		if err := w.saw(s, fired); err != nil {
			return true, err
		}
		fired = false
		if !found {
			clock.Pause(ctx, w.Clock, missingPause)

			continue
		}
		select {
		case e := <-events:
			fired = !e.Lost
			if e.Lost {
				clock.Pause(ctx, w.Clock, missingPause)
			}
		case <-ctx.Done():
		case <-session.Context().Done():
			return false, context.Cause(session.Context())
		}
	}

	return true, context.Cause(ctx)
}

// saw passes the state on if it is new.
func (w *Watcher) saw(s Semaphore, fired bool) error {
	c := w.history.add(s, fired)
	if c == nil {
		return nil
	}
	c.Time = cli.Stamp(w.Clock)

	return w.Changed(*c)
}
