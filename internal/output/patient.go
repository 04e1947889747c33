package output

import (
	"bytes"
	"context"
	"io"
)

// patientSize is the number of bytes in a queue above which a Patient waits. It leaves room for messages, and is little
// enough that Close does not have to drop it if the reader reads at all.
const patientSize = 64 << 10

// Patient returns a writer for the output of other programs. A Write queues the text as one message. It waits for
// room in the queue, so that these programs wait for the reader, and nothing is dropped. From the end of ctx, Write
// does not wait: what does not fit into the queue is dropped and counted, like a message. Errors of the underlying
// writer are not reported. A Patient is safe for concurrent use.
func (s *Stream) Patient(ctx context.Context) io.Writer { return &patient{ctx, s} }

type patient struct {
	ctx    context.Context
	stream *Stream
}

func (p *patient) Write(text []byte) (int, error) {
	if len(text) > 0 {
		p.stream.queue.addPatiently(p.ctx, p.stream, bytes.Clone(text))
	}

	return len(text), nil
}

// addPatiently queues a message. It waits for room until ctx ends.
func (q *queue) addPatiently(ctx context.Context, s *Stream, message []byte) {
	for {
		freed := q.tryAdd(s, message)
		if freed == nil {
			return
		}
		select {
		case <-freed:
		case <-ctx.Done():
			_, _ = q.add(s, message)

			return
		}
	}
}

// tryAdd queues a message if there is room. Otherwise it returns a channel that is closed when there is.
func (q *queue) tryAdd(s *Stream, message []byte) (freed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
	case q.bytes+len(message) <= patientSize || len(q.entries) == 0:
		q.push(entry{stream: s, text: message})
	default:
		if q.freed == nil {
			q.freed = make(chan struct{})
		}

		return q.freed
	}

	return nil
}

// free lets those continue that wait in addPatiently, if there is enough room. The caller holds q.mu.
func (q *queue) free() {
	if q.freed != nil && (q.bytes <= patientSize/2 || q.closed) {
		close(q.freed)
		q.freed = nil
	}
}
