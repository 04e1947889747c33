package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"tenure/internal/clock"
)

const (
	batchBytes = 64 << 10    // the amount after which the writer writes, even if more events wait
	retryPause = time.Second // between two attempts to write to a required log
	spareSize  = 1024        // of the queue that is kept while it is empty
)

// run writes the events until the log is closed and the queue is empty.
func (l *Log) run() {
	defer close(l.done)
	var buf []byte
	var trouble trouble
	var last error // of the last write that has failed
	for spare := []Event(nil); ; {
		events := l.take(spare)
		if len(events) == 0 {
			break
		}
		for rest := events; len(rest) > 0; {
			n := 0
			for buf = buf[:0]; n < len(rest) && len(buf) < batchBytes; n++ {
				buf = appendLine(buf, rest[n])
			}
			if err := l.write(buf); err != nil {
				last = err
			}
			if l.closing.Err() == nil {
				trouble.report(l, last)
			}
			rest = rest[n:]
		}
		clear(events)
		if spare = events[:0]; cap(spare) > spareSize {
			spare = nil
		}
	}
	trouble.last = 0 // the rest is reported now or never
	trouble.report(l, last)
	l.err = l.out.Close()
}

// take waits for events and returns all that are in the queue, in place of which it puts an empty slice. It returns
// none when the log is closed.
func (l *Log) take(empty []Event) []Event {
	for {
		l.mu.Lock()
		events, closed := l.queue, l.closed
		if len(events) > 0 {
			l.queue = empty
		}
		l.mu.Unlock()
		if len(events) > 0 || closed {
			return events
		}
		<-l.wake
	}
}

// write writes whole lines. If it cannot, it drops those that are missing and returns the error, or tries again if the
// log is required, until Close leaves it a last attempt. It never writes a line again that it has
// written, because two lines about one grant look like two holders.
func (l *Log) write(lines []byte) error {
	for last := !l.required; ; last = !clock.Pause(l.closing, l.clock, retryPause) {
		l.begin()
		n, err := l.out.Write(lines)
		n = bytes.LastIndexByte(lines[:n], '\n') + 1
		l.wrote(bytes.Count(lines[:n], []byte{'\n'}), err)
		lines = lines[n:]
		if err == nil {
			return nil
		}
		if last {
			missing := bytes.Count(lines, []byte{'\n'})
			l.dropped.Add(uint64(missing)) //nolint:gosec // not negative
			l.wrote(missing, err)

			return err
		}
	}
}

// begin notes that a write begins.
func (l *Log) begin() {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = now
}

// wrote notes that a write has ended after some lines, and lets those continue who wait for these.
func (l *Log) wrote(lines int, err error) {
	l.mu.Lock()
	before := l.failure
	l.writing = 0
	if l.required {
		l.failure = err
	}
	l.written += uint64(lines) //nolint:gosec // not negative
	done := 0
	for done < len(l.waiters) && l.waiters[done].queued <= l.written {
		close(l.waiters[done].done)
		done++
	}
	l.waiters = slices.Delete(l.waiters, 0, done)
	l.mu.Unlock()
	switch {
	case !l.required:
	case err != nil && before == nil:
		l.log.ErrorContext(context.Background(), "audit log: cannot write, so answers wait", "error", err)
	case err == nil && before != nil:
		l.log.InfoContext(context.Background(), "audit log: can write again")
	}
}

// errAbandoned is the result of Close if the file has not been closed.
var errAbandoned = errors.New("a write to the audit log does not end")

// abandon leaves the writer alone with the events that it has not written.
func (l *Log) abandon() {
	l.mu.Lock()
	missing := l.queued - l.written
	for _, w := range l.waiters {
		close(w.done)
	}
	l.waiters = nil
	l.mu.Unlock()
	l.dropped.Add(missing)
	l.log.ErrorContext(context.Background(), "audit log: events are missing", "dropped", missing, "error", errAbandoned)
}

// warn reports a fault that loses no lines.
func (l *Log) warn(err error) {
	l.log.WarnContext(context.Background(), "audit log: cannot rotate the file, so it grows", "error", err)
}

// appendLine adds the line of an event. Encoding an Event cannot fail unless its year has more than four digits.
func appendLine(buf []byte, e Event) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		e.Time = time.Unix(0, 0)
		b, _ = json.Marshal(e)
	}

	return append(append(buf, b...), '\n')
}

// troublePause is the time between two messages about dropped events.
const troublePause = time.Minute

// trouble logs that events have been dropped, not more often than once a minute.
type trouble struct {
	told uint64 // dropped events that have been logged
	last clock.Instant
}

func (t *trouble) report(l *Log, last error) {
	dropped, now := l.dropped.Load(), l.clock.Now()
	if dropped == t.told || t.last != 0 && now.Sub(t.last) < troublePause {
		return
	}
	l.log.ErrorContext(context.Background(), "audit log: events are missing", "dropped", dropped-t.told, "error", last)
	t.told, t.last = dropped, now
}
