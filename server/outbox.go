package server

import (
	"sync"

	"tenure/internal/node"
	"tenure/internal/wire"
)

// maxQueued bounds the messages that wait for a slow reader, in bytes as estimated by size. No message is added to a
// queue above the bound. The last message may have any size, since descriptions are not limited (D3).
const maxQueued = 4 << 20

// outbox is a stream's bounded queue of messages. Several goroutines put messages, and one at a time, the writer, takes
// them. The writer of a stream that is in use waits for more messages. An idle stream has a writer only while it is
// sent a ping, because most streams are idle most of the time.
type outbox struct {
	mu      sync.Mutex // guards the rest
	queue   []any
	taken   []any // what the writer is sending
	bytes   int
	inUse   bool          // the writer waits for more
	writing bool          // there is a writer
	waiting chan struct{} // carries a value when the writer that waits shall look again; nil if none waits
	closed  bool
}

// put queues a message and never blocks. It returns false if the queue is full, which means that the reader is too slow
// and its stream must be cut. If there is no writer, put calls start, which must start one without waiting for
// anything. After close it does nothing.
func (o *outbox) put(m any, start func()) bool {
	o.mu.Lock()
	defer o.mu.Unlock()

	if o.closed {
		return true
	}
	if o.bytes > maxQueued {
		return false
	}
	o.queue = append(o.queue, m)
	o.bytes += size(m)
	switch m.(type) {
	case wire.Ping, node.Attached: // every stream gets these
	default:
		o.inUse = true
	}
	if !o.writing {
		o.writing = true
		start()
	}
	o.wake()

	return true
}

// wake makes a writer that waits look again. It is called with mu held.
func (o *outbox) wake() {
	if o.waiting != nil {
		o.waiting <- struct{}{}
		o.waiting = nil
	}
}

// take returns the queued messages for the writer, which must have finished with the previous ones. It waits for some
// while the stream is in use. When it returns nothing, the caller is no longer the writer.
func (o *outbox) take() []any {
	var wakeUp chan struct{}
	for {
		o.mu.Lock()
		clear(o.taken)
		o.queue, o.taken, o.bytes = o.taken[:0], o.queue, 0
		if len(o.taken) > 0 || !o.inUse || o.closed {
			o.writing = len(o.taken) > 0
			defer o.mu.Unlock()

			return o.taken
		}
		if wakeUp == nil {
			wakeUp = make(chan struct{}, 1)
		}
		o.waiting = wakeUp
		o.mu.Unlock()
		<-wakeUp
	}
}

// calm lets the writer go if it waits, until the stream is in use again.
func (o *outbox) calm() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inUse = false
	o.wake()
}

// close drops all messages, queued or put later. Calling it again is a no-op.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()

	drop(o.queue)
	o.queue, o.bytes, o.closed = nil, 0, true
	o.wake()
}

// drop gives back the memory of messages that are not sent.
func drop(messages []any) {
	for _, m := range messages {
		if a, ok := m.(*wire.Answer); ok {
			a.Receipt.Sent()
		}
	}
}

// size estimates the bytes that a message takes while it is queued.
func size(m any) int {
	const small, holder = 64, 64
	if a, ok := m.(*wire.Answer); ok {
		return a.Size
	}
	d, ok := m.(node.Described)
	if !ok || d.Semaphore == nil {
		return small
	}
	n := small + len(d.Semaphore.Name) + len(d.Semaphore.Data)
	for _, hs := range [][]node.Holder{d.Semaphore.Owners, d.Semaphore.Waiters} {
		for _, h := range hs {
			n += holder + len(h.Data)
		}
	}

	return n
}
