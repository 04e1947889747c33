package audit

import (
	"context"
	"errors"
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

// closeLimit is the time that Close leaves to a writer that is stuck.
const closeLimit = 500 * time.Millisecond

// Config says where a log is written. Path or Writer must be set.
type Config struct {
	Path     string    // of the file, which is created with mode 0640 or appended to
	MaxSize  int64     // of the file; it is then renamed to Path.1, Path.1 to Path.2, and so on. 0: never
	Writer   io.Writer // in place of Path, for example standard output
	Only     string    // events about semaphores whose names do not match this pattern of path.Match are left out
	Required bool      // try again each second while lines cannot be written, and drop none of them; see Log.Written
	Clock    clock.Clock
	Logger   *slog.Logger
}

// Log is an audit log. Write never waits, so that a slow disk delays no lease. Its methods may be called from several
// goroutines. A nil Log wants nothing and writes nothing.
type Log struct {
	only     string
	required bool
	clock    clock.Clock
	log      *slog.Logger
	out      output

	dropped atomic.Uint64      // events that are not in the log
	closing context.Context    // ends with Close
	cancel  context.CancelFunc // of closing
	once    sync.Once          // of the end
	wake    chan struct{}      // capacity 1: has a value if the queue has become not empty, or the log was closed
	done    chan struct{}      // closed when the writer has ended; err is set before
	err     error              // of closing the file

	mu      sync.Mutex // guards the rest
	closed  bool
	queue   []Event
	queued  uint64        // events that have ever been in the queue
	written uint64        // those of them that are in the file, or are dropped
	waiters []waiter      // by queued
	writing clock.Instant // since when a write has been in progress; 0: none is
	failure error         // of the last write, if the log is required; nil: it has worked
}

// waiter waits until the first events are written, as many as queued says.
type waiter struct {
	queued uint64
	done   chan struct{}
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
	l := &Log{
		only: c.Only, required: c.Required, clock: c.Clock, log: c.Logger, wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
	l.closing, l.cancel = context.WithCancel(context.Background())
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

// Write puts an event into the log's queue. If the queue is full, the event is dropped and counted. In a required log,
// only refusals of callers are dropped then, because anybody can cause them. Write does not ask Wants.
func (l *Log) Write(e Event) {
	if l == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = l.clock.Time(l.clock.Now())
	}
	e.limit()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue) >= queueSize && (!l.required || e.refusal()) {
		l.dropped.Add(1)

		return
	}
	l.queue = append(l.queue, e)
	l.queued++
	if len(l.queue) == 1 {
		l.notify()
	}
}

// notify wakes the writer.
func (l *Log) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Written returns a channel that is closed when all events of earlier calls of Write are in the file, or the log was
// closed. It is nil if nobody has to wait for that: they are in the file, or the log is not required.
func (l *Log) Written() <-chan struct{} {
	if l == nil || !l.required {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written == l.queued {
		return nil
	}
	n := len(l.waiters)
	if n == 0 || l.waiters[n-1].queued != l.queued {
		l.waiters = append(l.waiters, waiter{l.queued, make(chan struct{})})
		n++
	}

	return l.waiters[n-1].done
}

// Full reports whether so many events wait that nothing should be done that adds one. Only a required log can be full.
func (l *Log) Full() bool {
	if l == nil || !l.required {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()

	return len(l.queue) >= queueSize
}

// stuckLimit is how long a write may take before Failing reports it.
const stuckLimit = 5 * time.Second

var errStuck = errors.New("the audit log has not taken a line for 5 s: check its disk")

// Failing returns the reason for which events wait, or nil. A log that is not required does not let them wait.
func (l *Log) Failing() error {
	if l == nil || !l.required {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failure != nil:
		return fmt.Errorf("the audit log cannot be written, and answers wait for it: %w", l.failure)
	case l.writing != 0 && l.clock.Now().Sub(l.writing) > stuckLimit:
		return errStuck
	}

	return nil
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

// Close writes the events that are in the queue and closes the file. If they cannot be written, or a write takes longer
// than half a second, they are dropped.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.cancel()
		l.notify()
		timer := l.clock.NewTimer()
		defer timer.Stop()
		now := l.clock.Now()
		timer.Set(now, now.Add(closeLimit))
		select {
		case <-l.done:
		case <-timer.C():
			l.abandon()
		}
	})
	select {
	case <-l.done:
		return l.err
	default:
		return errAbandoned
	}
}
