package output

import (
	"context"
	"sync"

	"tenure/internal/tty"
)

// A queue holds texts for one place, and writes them in a goroutine of its own.
//
// Invariants: bytes is the sum of the texts in entries. Between two texts there is at most one entry for each stream
// that counts dropped messages, so that the size of a queue is bounded. Nothing is added after closed is set.
type queue struct {
	wake  chan struct{} // has one element if the goroutine has something to look at
	ended chan struct{} // closed when everything is written after close

	mu      sync.Mutex // guards the rest
	entries []entry    // without the one that is being written
	bytes   int
	writing bool // an entry is being written
	written int  // number of entries written so far
	stalled bool // the reader does not keep up; until the queue is empty
	closed  bool
	freed   chan struct{} // closed when there is room for those who wait in addPatiently; nil: nobody waits
}

// An entry is a text to write, or a number of messages that were dropped in its place.
type entry struct {
	stream  *Stream
	text    []byte
	dropped int
	done    chan error // receives the result; has room for it
}

func newQueue() *queue {
	q := &queue{wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run() // ends after close, or stays in a Write that does not return

	return q
}

// run writes the entries until the queue is closed and empty.
func (q *queue) run() {
	defer close(q.ended)
	for {
		e, ok, last := q.take()
		switch {
		case ok:
			err := e.write()
			q.mu.Lock()
			q.writing = false
			q.written++
			q.mu.Unlock()
			e.done <- err
		case last:
			return
		default:
			<-q.wake
		}
	}
}

// take removes the first entry. If there is none, last reports that there will never be one.
func (q *queue) take() (e entry, ok, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.entries) == 0 {
		q.entries, q.stalled = nil, false

		return entry{}, false, q.closed
	}
	e = q.entries[0]
	q.entries[0] = entry{}
	q.entries = q.entries[1:]
	q.bytes -= len(e.text)
	q.writing = true
	q.free()

	return e, true, false
}

func (e entry) write() error {
	if e.dropped > 0 {
		errs := e.stream.output.Stderr
		if errs.queue != e.stream.queue {
			e.stream.report(e.dropped)

			return nil
		}
		e.stream, e.text = errs, e.stream.dropped(e.dropped)
	}
	var err error
	tty.Shield(func() { _, err = e.stream.w.Write(e.text) }) // a terminal stops a writer in the background (stty tostop)

	return err
}

// add queues a message, or drops it if the queue is full. Done receives its result. Wait reports whether the reader
// has kept up so far, so that the result is likely to come soon.
func (q *queue) add(s *Stream, message []byte) (done chan error, wait bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, false
	}
	if q.bytes+len(message) > queueSize && len(q.entries) > 0 {
		q.drop(s)

		return nil, false
	}

	return q.push(entry{stream: s, text: message}), !q.stalled
}

// drop counts a dropped message in the last entry for that, or in a new one.
func (q *queue) drop(s *Stream) {
	for i := len(q.entries) - 1; i >= 0 && q.entries[i].dropped > 0; i-- {
		if q.entries[i].stream == s {
			q.entries[i].dropped++

			return
		}
	}
	q.push(entry{stream: s, dropped: 1})
}

// addData queues data of any size. The channel receives the result.
func (q *queue) addData(s *Stream, data []byte) (done chan error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		done = make(chan error, 1)
		done <- errClosed

		return done
	}

	return q.push(entry{stream: s, text: data})
}

func (q *queue) push(e entry) (done chan error) {
	e.done = make(chan error, 1)
	q.entries = append(q.entries, e)
	q.bytes += len(e.text)
	q.signal()

	return e.done
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// stall records that a message was not written in time, so that the next ones do not wait.
func (q *queue) stall() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stalled = q.writing || len(q.entries) > 0
}

// close lets the goroutine end when everything is written, and waits for that as long as the reader reads. It returns
// the number of messages that are not written.
func (q *queue) close() (left int) {
	q.mu.Lock()
	q.closed = true
	q.free()
	before := q.written
	q.signal()
	q.mu.Unlock()
	for round, idle := 0, 0; round < closeRounds && idle < closeIdle; round++ {
		limited, cancel := context.WithTimeout(context.Background(), closeWait)
		select {
		case <-q.ended:
			cancel()

			return 0
		case <-limited.Done():
		}
		cancel()
		idle++
		var written int
		if left, written = q.left(); written > before {
			before, idle = written, 0
		}
	}

	return left
}

// left returns how many messages are not written, and how many entries are.
func (q *queue) left() (left, written int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writing {
		left = 1
	}
	for _, e := range q.entries {
		left += max(1, e.dropped)
	}

	return left, q.written
}
