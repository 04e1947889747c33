package tenure

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// maxEntries bounds what a journal keeps for a handler that is slower than events come; what is more is left out.
const maxEntries = 64

// journal writes a session's log in a goroutine of its own: a handler is the user's code and may block, and nothing of
// a session may wait for it.
type journal struct {
	log     *slog.Logger
	entries chan func() // closed behind the session's last entry
	ended   chan struct{}
}

// newJournal returns nil, which is a journal too, if there is no log.
func newJournal(log *slog.Logger) *journal {
	if log == nil {
		return nil
	}
	j := &journal{log: log, entries: make(chan func(), maxEntries), ended: make(chan struct{})}
	go func() { // ends with the session
		defer close(j.ended)
		for write := range j.entries {
			write()
		}
	}()

	return j
}

func (j *journal) write(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	select {
	case j.entries <- func() { j.log.LogAttrs(ctx, level, message, attrs...) }: //nolint:sloglint // constants of note
	default:
	}
}

// await returns when everything is written, or ctx ends.
func (j *journal) await(ctx context.Context) {
	if j == nil {
		return
	}
	select {
	case <-j.ended:
	case <-ctx.Done():
	}
}

// note writes down what an action means to somebody who reads logs. It is called with mu held and does not block.
func (s *Session) note(now clock.Instant, a session.Action) {
	if s.journal == nil {
		return
	}
	write := func(level slog.Level, message string, attrs ...slog.Attr) {
		attrs = append(attrs, slog.String("node", s.path), slog.Uint64("session", s.core.ID()))
		s.journal.write(s.base, level, message, attrs...)
	}
	switch a := a.(type) {
	case session.Started:
		message := "session started"
		if a.Again {
			message = "session attached again"
		}
		write(slog.LevelInfo, message)
	case session.Lost:
		write(slog.LevelWarn, "stream lost", slog.Any("cause", a.Cause), s.sinceProof(now))
	case session.EndLease:
		if !errors.Is(a.Cause, session.ErrReleased) {
			write(slog.LevelWarn, "lease ended before release", slog.String("semaphore", a.Lease.Name),
				slog.Any("cause", cause(s.path, a.Cause)))
		}
	case session.Over:
		if errors.Is(a.Cause, session.ErrClosed) {
			write(slog.LevelInfo, "session closed")
		} else {
			write(slog.LevelWarn, "session over", slog.Any("cause", cause(s.path, a.Cause)), s.sinceProof(now))
		}
	case session.Closed:
		close(s.journal.entries)
	}
}

// sinceProof says how long ago the newest request was sent that the node has answered.
func (s *Session) sinceProof(now clock.Instant) slog.Attr {
	if s.lastDeadline == 0 {
		return slog.Duration("since_proof", 0) // there was none
	}
	sent := s.lastDeadline.Add(-session.Believed(s.timeout))

	return slog.Duration("since_proof", now.Sub(sent).Round(time.Millisecond))
}
