package tenure

import (
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// maxAttaching is the number of streams of a client that attach at the same time. A server that is busy with thousands
// of attaches answers none of them in time. With so many it has always something to do, also over a network with a
// round trip of 100 ms. Sessions that exist have as many of their own, because they may have leases. So they never wait
// for new sessions.
const maxAttaching = 250

// attaching limits how many streams of a client attach at the same time. A new one waits until another one has been
// answered.
type attaching struct {
	existing, others *semaphore.Weighted
	last             *atomic.Int64 // the clock.Instant of the last successful attach of a session of the client
}

func newAttaching() attaching {
	return attaching{
		existing: semaphore.NewWeighted(maxAttaching), others: semaphore.NewWeighted(maxAttaching), last: new(atomic.Int64),
	}
}

// of returns the semaphore for the next stream of a session. The caller holds the session's mutex.
func (a attaching) of(s *Session) *semaphore.Weighted {
	if s.core.ID() == 0 || s.ending {
		return a.others
	}

	return a.existing
}

// answer notes that the server has attached a session.
func (a attaching) answer(now clock.Instant) { a.last.Store(int64(now)) }

// answered returns the instant of the last successful attach, or 0 if there was none.
func (a attaching) answered() clock.Instant { return clock.Instant(a.last.Load()) }

// attach opens the stream as soon as it may attach, and returns the reason for its end.
func (s *Session) attach(st *stream, others *semaphore.Weighted) error {
	if !others.TryAcquire(1) {
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Delayed(now, st.id, fx) })
		if err := others.Acquire(st.ctx, 1); err != nil {
			return err
		}
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Opened(now, st.id, fx) })
	}
	waiting := true
	answered := func() {
		if waiting {
			waiting = false
			others.Release(1)
		}
	}
	defer answered()

	return s.receive(st, answered)
}
