package workers

import (
	"fmt"
	"os"
	"strings"

	"tenure/internal/clock"
)

// A Verb says what happened.
type Verb string

// Jobs write all verbs but Killed and Cut, which the test writes of a worker before it happens.
const (
	Begins  Verb = "begins"  // the job starts to work
	Works   Verb = "works"   // the job works
	Told    Verb = "told"    // the job was asked to stop
	Ends    Verb = "ends"    // the job has finished its work, and exits
	Crowded Verb = "crowded" // an earlier job of the same task is still alive
	Had     Verb = "had"     // the job has found this state
	Saves   Verb = "saves"   // the job is about to save this state
	Killed  Verb = "killed"  // the worker is killed, and its jobs end
	Cut     Verb = "cut"     // the worker loses the server, and its jobs may end in any way
)

// A Line is what one process says at one time.
type Line struct {
	At     clock.Instant // of the clock that all processes of the machine share
	Verb   Verb
	Worker string // the process of workers, as the test names it
	Task   string
	Token  uint64
	PID    int
	State  int // of Had and Saves
}

// nothing stands for an empty word.
const nothing = "-"

func (l Line) String() string {
	word := func(s string) string {
		if s == "" {
			return nothing
		}

		return s
	}

	return fmt.Sprint(int64(l.At), " ", l.Verb, " ", word(l.Worker), " ", word(l.Task), " ", l.Token, " ", l.PID, " ",
		l.State)
}

func parse(text string) (l Line, err error) {
	if _, err := fmt.Sscan(text, &l.At, &l.Verb, &l.Worker, &l.Task, &l.Token, &l.PID, &l.State); err != nil {
		return l, fmt.Errorf("record line %q: %w", text, err)
	}
	if l.Worker == nothing {
		l.Worker = ""
	}
	if l.Task == nothing {
		l.Task = ""
	}

	return l, nil
}

// A Record is a file to which many processes append lines. The order of the lines is the order in which they were
// written.
type Record struct {
	file *os.File
	read int64 // how much of the file Next has returned
}

// OpenRecord opens the record, and creates it if it does not exist.
func OpenRecord(path string) (*Record, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)

	return &Record{file: f}, err
}

// Append writes a line with the current time, in one system call, so that lines do not mix.
func (r *Record) Append(l Line) error {
	l.At = clock.System().Now()
	_, err := r.file.WriteString(l.String() + "\n")

	return err
}

// Next returns the lines that were written since the last call.
func (r *Record) Next() (lines []Line, err error) {
	info, err := r.file.Stat()
	if err != nil {
		return nil, err
	}
	text := make([]byte, info.Size()-r.read)
	if _, err := r.file.ReadAt(text, r.read); err != nil {
		return nil, err
	}
	for text := range strings.Lines(string(text)) {
		if !strings.HasSuffix(text, "\n") { // it is about to be written
			break
		}
		l, err := parse(text)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
		r.read += int64(len(text))
	}

	return lines, nil
}

// Close closes the file.
func (r *Record) Close() error { return r.file.Close() }
