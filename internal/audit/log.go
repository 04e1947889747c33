package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"tenure/internal/clock"
)

// queueSize is the number of events that wait for the writer. When the queue is full, events are dropped and counted.
const queueSize = 8192

// batchBytes is the amount after which the writer writes, even if more events wait.
const batchBytes = 64 << 10

// Config says where a log is written. Path or Writer must be set.
type Config struct {
	Path    string    // of the file, which is created with mode 0640 or appended to
	MaxSize int64     // of the file; it is then renamed to Path.1, Path.1 to Path.2, and so on. 0: never
	Writer  io.Writer // in place of Path, for example standard output
	Only    string    // events about semaphores whose names do not match this pattern of path.Match are left out
	Clock   clock.Clock
	Logger  *slog.Logger
}

// Log is an audit log. Write never waits, so that a slow disk delays no lease. Its methods may be called from several
// goroutines. A nil Log wants nothing and writes nothing.
type Log struct {
	only  string
	clock clock.Clock
	log   *slog.Logger
	out   output

	events  chan Event
	dropped atomic.Uint64 // events that are not in the log
	closing sync.Once
	mu      sync.RWMutex // held for reading while an event is put into the queue; guards closed
	closed  bool
	done    chan struct{} // closed when the writer has ended; err is set before
	err     error         // of closing the file
}

// output is where lines go.
type output interface {
	io.Writer
	Reopen() error
	Close() error
}

// Open opens the log. The caller must call Close.
func Open(c Config) (*Log, error) {
	if _, err := path.Match(c.Only, ""); err != nil {
		return nil, fmt.Errorf("the pattern %q is not valid: * matches any characters except /, ? matches one", c.Only)
	}
	l := &Log{only: c.Only, clock: c.Clock, log: c.Logger, events: make(chan Event, queueSize), done: make(chan struct{})}
	if l.clock == nil {
		l.clock = clock.System()
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if c.Writer != nil {
		l.out = stream{c.Writer}
	} else {
		f, err := openFile(c.Path, c.MaxSize, l.warn)
		if err != nil {
			return nil, err
		}
		l.out = f
	}
	go l.run() // ends with Close

	return l, nil
}

// stream is an output that is not a file of the log's own.
type stream struct{ io.Writer }

func (stream) Reopen() error { return nil }
func (stream) Close() error  { return nil }

// Wants reports whether the log takes events about the semaphore. A caller can ask before it makes an event.
func (l *Log) Wants(semaphore string) bool {
	if l == nil {
		return false
	}
	matches, _ := path.Match(l.only, semaphore) // Open has checked the pattern

	return matches || l.only == ""
}

// Write puts an event into the log's queue. If the queue is full, the event is dropped and counted. Write does not ask
// Wants.
func (l *Log) Write(e Event) {
	if l == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = l.clock.Time(l.clock.Now())
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		l.dropped.Add(1)

		return
	}
	select {
	case l.events <- e:
	default:
		l.dropped.Add(1)
	}
}

// Dropped returns the number of events that are missing in the log.
func (l *Log) Dropped() uint64 {
	if l == nil {
		return 0
	}

	return l.dropped.Load()
}

// Reopen opens the file again, after another program has renamed it.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}

	return l.out.Reopen()
}

// Close writes the events that are in the queue and closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		close(l.events)
	})
	<-l.done

	return l.err
}

// run writes the events until the queue is closed and empty.
func (l *Log) run() {
	defer close(l.done)
	var buf []byte
	pending := 0 // events in buf
	var trouble trouble
	var last error
	for e := range l.events {
		buf = appendLine(buf, e)
		pending++
		if len(l.events) > 0 && len(buf) < batchBytes {
			continue
		}
		if _, err := l.out.Write(buf); err != nil {
			l.dropped.Add(uint64(pending)) // some of them may have been written
			last = err
		}
		trouble.report(l, last)
		buf, pending = buf[:0], 0
	}
	l.err = l.out.Close()
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
