package tenure

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// maxEntries limits how many entries a journal queues for a slow handler. It drops further entries.
const maxEntries = 64

// journal writes the log of a session in a separate goroutine, because a handler is the user's code and may block, and
// the session must not wait for it. A nil journal means that the session logs nothing.
type journal struct {
	log     *slog.Logger
	entries chan func()   // closed after the session's last entry
	ended   chan struct{} // closed when all entries are written
}

// newJournal returns nil if log is nil.
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

// await waits until all entries are written, or until ctx ends.
func (j *journal) await(ctx context.Context) {
	if j == nil {
		return
	}
	select {
	case <-j.ended:
	case <-ctx.Done():
	}
}

// note logs an action. It does not block. The caller holds mu.
func (s *Session) note(now clock.Instant, a session.Action) {
	if s.journal == nil {
		return
	}
	write := func(level slog.Level, message string, attrs ...slog.Attr) {
		attrs = append(attrs, slog.String("node", s.path), slog.Uint64("session", s.core.ID()))
		s.journal.write(s.base, level, message, attrs...)
	}
	if s.ending {
		s.noteEnding(a, write)

		return
	}
	switch a := a.(type) {
	case session.Started:
		message := "session started"
		if a.Again {
			message = "session reattached"
		}
		write(slog.LevelInfo, message)
	case session.Lost:
		write(slog.LevelWarn, "stream lost", slog.Any("cause", a.Cause), s.sinceProof(now))
	case *session.EndLease:
		if !errors.Is(a.Cause, session.ErrReleased) {
			write(slog.LevelWarn, "lease ended before release", slog.String("semaphore", a.Lease.Name),
				slog.Any("cause", cause(s.path, a.Cause)))
		}
	case session.Over:
		level := slog.LevelWarn
		if s.core.ID() == 0 {
			level = slog.LevelDebug // it never started, and the call that opens it returns the reason
		}
		if errors.Is(a.Cause, session.ErrClosed) {
			write(slog.LevelInfo, "session closed")
		} else {
			write(level, "session ended", slog.Any("cause", cause(s.path, a.Cause)), s.sinceProof(now))
		}
	case session.Closed:
		close(s.journal.entries)
	}
}

// noteEnding is like note for a Session that only ends a session on the server.
func (s *Session) noteEnding(a session.Action, write func(level slog.Level, message string, attrs ...slog.Attr)) {
	closed, ok := a.(session.Closed)
	if !ok {
		return
	}
	if ended(closed.Cause) {
		write(slog.LevelInfo, "lost session ended on the server")
	} else {
		write(slog.LevelWarn, "lost session not ended on the server", slog.Any("cause", closed.Cause))
	}
	close(s.journal.entries)
}

// sinceProof returns the time since the newest request that the node has answered was sent, or 0 if there is none.
func (s *Session) sinceProof(now clock.Instant) slog.Attr {
	if s.lastDeadline == 0 {
		return slog.Duration("since_proof", 0)
	}
	sent := s.lastDeadline.Add(-session.Believed(s.timeout))

	return slog.Duration("since_proof", now.Sub(sent).Round(time.Millisecond))
}
