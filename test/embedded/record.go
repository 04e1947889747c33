//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"

	"tenure/internal/clock"
)

// Verb is what an event says.
type Verb string

// What contenders say, and what is said of one by whoever is about to do it to it.
const (
	Ask   Verb = "ask"   // it is about to ask for the task
	Begin Verb = "begin" // it has the task, and begins to work
	Work  Verb = "work"
	End   Verb = "end"   // it works no more, and is about to give the task back
	Lost  Verb = "lost"  // it works no more, and has nothing to give back
	Child Verb = "child" // what it has started works too
	Kill  Verb = "kill"
	Stop  Verb = "stop" // by SIGSTOP
	Quit  Verb = "quit" // it is asked to end in order
)

// Event is one line of a record.
type Event struct {
	At    clock.Instant // of the machine's clock, which is the same for all processes
	Verb  Verb
	Who   int    // the process's number
	Task  string // never empty; has another meaning if the event is not about one
	Token uint64 // the fencing token; of Child, its process id
}

// lineSize is how long a line of a record is, its end included. It divides the size of a page, so that no line lies on
// two: there, a kill could cut the write.
const lineSize = 64

func (e Event) line() []byte {
	return fmt.Appendf(nil, "%-*s\n", lineSize-1, fmt.Sprint(e.At, " ", e.Verb, " ", e.Who, " ", e.Task, " ", e.Token))
}

func parseEvent(line []byte) (e Event, err error) {
	_, err = fmt.Sscan(string(line), &e.At, &e.Verb, &e.Who, &e.Task, &e.Token)
	if err != nil {
		err = fmt.Errorf("line %q: %w", line, err)
	}

	return e, err
}

// Record is a file to which many processes append events. The system brings them into one order: what a process does
// after its Append has returned comes after the event.
type Record struct{ file *os.File }

// OpenRecord opens the record at the path, and makes it if it is missing.
func OpenRecord(path string) (*Record, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}

	return &Record{f}, nil
}

// Append writes an event down, as of now, by one system call.
func (r *Record) Append(verb Verb, who int, task string, token uint64) error {
	line := Event{clock.System().Now(), verb, who, task, token}.line()
	if len(line) != lineSize {
		return fmt.Errorf("line %q is too long for a record", line)
	}
	_, err := r.file.Write(line)

	return err
}

// Close closes the file.
func (r *Record) Close() error { return r.file.Close() }

// Read returns the events behind the first so many, in their order.
func (r *Record) Read(behind int) ([]Event, error) {
	var events []Event
	buf := make([]byte, 1024*lineSize)
	for {
		n, err := r.file.ReadAt(buf, int64(behind+len(events))*lineSize)
		for i := 0; i+lineSize <= n; i += lineSize {
			e, err := parseEvent(buf[i : i+lineSize])
			if err != nil {
				return events, err
			}
			events = append(events, e)
		}
		switch {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return events, err
		}
	}
}
