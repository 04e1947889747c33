// Package output writes what a command prints. A reader that is slow, stuck or gone does not delay the command.
//
// Each of standard output and standard error has a queue and one goroutine that writes to it. If both are the same
// file, they share the queue, so that lines stay in their order. A message that does not fit into the queue is dropped.
// When the reader continues, a line on standard error says how many messages were dropped.
//
// As long as the reader keeps up, a Write returns when the text is written. What the command does next, such as
// starting another program with the same files, is then visible only after the text.
//
// Output of other programs, which pass it through this process, waits for the reader instead: see [Stream.Patient].
package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"
)

const (
	// queueSize is the number of bytes that wait in a queue at most. It holds some thousand lines.
	queueSize = 1 << 20

	// patience is how long a Write waits for a reader that has kept up so far. It has to stay well below the margin of
	// the shortest lease, which is 20 ms, because a message may be written while a lease ends.
	patience = 10 * time.Millisecond

	// Close looks closeRounds times, with pauses of closeWait, whether everything is written. It gives up earlier if
	// nothing has been written between closeIdle looks. One look is not enough: this process itself may have been
	// suspended.
	closeWait   = 100 * time.Millisecond
	closeIdle   = 2
	closeRounds = 10
)

// An Output is the standard output and the standard error of a command.
type Output struct {
	Name           string // of the command, for the line about dropped messages; set it before the first Write
	Stdout, Stderr *Stream
}

// New returns an Output that writes to the two writers. The caller has to call Close.
func New(stdout, stderr io.Writer) *Output {
	errors := newQueue()
	out := errors
	if !Same(stdout, stderr) {
		out = newQueue()
	}
	o := &Output{}
	o.Stdout = &Stream{output: o, queue: out, w: stdout, title: "standard output"}
	o.Stderr = &Stream{output: o, queue: errors, w: stderr, title: "standard error"}

	return o
}

// Close writes what is still queued. It waits for a short time only if a reader does not read, and then drops the rest.
// Later writes are dropped too.
func (o *Output) Close() {
	if left := o.Stdout.queue.close(); left > 0 && o.Stdout.queue != o.Stderr.queue {
		o.Stdout.report(left) // standard error may have a reader
	}
	o.Stderr.queue.close()
}

// Same reports whether both writers write to the same place.
func Same(a, b io.Writer) bool {
	x, ok := a.(*os.File)
	y, both := b.(*os.File)
	if !ok || !both {
		return a != nil && reflect.TypeOf(a).Comparable() && a == b
	}
	xInfo, xErr := x.Stat()
	yInfo, yErr := y.Stat()

	return xErr == nil && yErr == nil && os.SameFile(xInfo, yInfo)
}

// A Stream takes messages, one in each Write. It is safe for concurrent use.
type Stream struct {
	output *Output
	queue  *queue
	w      io.Writer
	title  string // in the line about dropped messages
}

// Write writes a message, or queues or drops it if the reader does not keep up. The error is that of the underlying
// writer if the message has been written already. Callers may ignore it.
func (s *Stream) Write(message []byte) (int, error) {
	if len(message) == 0 {
		return 0, nil
	}
	done, wait := s.queue.add(s, bytes.Clone(message))
	if !wait {
		return len(message), nil
	}
	limited, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case err := <-done:
		if err != nil {
			return 0, err
		}
	case <-limited.Done():
		s.queue.stall()
	}

	return len(message), nil
}

// report says that n messages of the stream were dropped.
func (s *Stream) report(n int) { _, _ = s.output.Stderr.Write(s.dropped(n)) }

func (s *Stream) dropped(n int) []byte {
	what := fmt.Sprintf("%d messages were", n)
	if n == 1 {
		what = "1 message was"
	}

	return fmt.Appendf(nil, "%s: %s dropped because %s was blocked\n", s.output.Name, what, s.title)
}

// Data returns a writer for data that the command is asked for. A Write returns when the data is written, which may
// take as long as the reader wants, or when ctx ends. After an error, all further writes fail with it. A Data is not
// safe for concurrent use.
func (s *Stream) Data(ctx context.Context) *Data { return &Data{ctx: ctx, stream: s} }

// Data is a writer that waits for its reader.
type Data struct {
	ctx    context.Context
	stream *Stream
	err    error
}

// Write writes data. The error is that of the underlying writer, or the cause of the end of the context.
func (d *Data) Write(data []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	done := d.stream.queue.addData(d.stream, bytes.Clone(data))
	select {
	case d.err = <-done:
	case <-d.ctx.Done():
		limited, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		select {
		case d.err = <-done: // the reader is there, and gets all of it
		case <-limited.Done():
			d.err = context.Cause(d.ctx)
		}
	}
	if d.err != nil {
		return 0, d.err
	}

	return len(data), nil
}

// Err returns the first error of Write.
func (d *Data) Err() error { return d.err }

var errClosed = errors.New("the output is closed")
