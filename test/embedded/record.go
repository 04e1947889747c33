//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"

	"tenure/internal/clock"
)

// Verb is the kind of an event.
type Verb string

// Contenders write the events Ask to Child about themselves. A crew writes Kill, Stop and Quit about a contender, just
// before it sends the signal.
const (
	Ask   Verb = "ask"   // it is about to acquire the task
	Begin Verb = "begin" // it holds the task and starts to work
	Work  Verb = "work"
	End   Verb = "end"   // it has stopped working and is about to release the task
	Lost  Verb = "lost"  // it has stopped working because it lost the lease
	Child Verb = "child" // it has started a child process, which works too
	Kill  Verb = "kill"
	Stop  Verb = "stop" // with SIGSTOP
	Quit  Verb = "quit" // with SIGTERM, for a clean shutdown
)

// Event is one line of a record.
type Event struct {
	At    clock.Instant // from the machine's clock, which all processes share
	Verb  Verb
	Who   int    // the number of the process
	Task  string // never empty; see AsWaiter for Kill, Stop and Quit
	Token uint64 // the fencing token; for Child, the process id of the child
}

// lineSize is the size of a line of a record, including the newline. It divides the page size, so that no line crosses
// a page boundary, where a kill could cut the write.
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

// Record is a file to which many processes append events. The operating system puts the events into one order: whatever
// a process does after its Append has returned comes after that event.
type Record struct{ file *os.File }

// OpenRecord opens the record at the path and creates it if it does not exist.
func OpenRecord(path string) (*Record, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}

	return &Record{f}, nil
}

// Append writes an event with the current time, in one system call.
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

// Read skips the first events, behind in number, and returns the later ones in order.
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
