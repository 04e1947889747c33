package workerscmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tenure/internal/cli"
	"tenure/internal/printable"
)

// An event is something that happens to this worker or to its pool, as one line of -o json. Its fields are documented
// in docs/workers.md.
type event struct {
	Event  string    `json:"event"`
	Time   time.Time `json:"time"`
	Worker string    `json:"worker,omitempty"` // the name of this worker
	Task   string    `json:"task,omitempty"`

	Session  uint64    `json:"session,omitempty"`  // asking
	Token    uint64    `json:"token,omitempty"`    // started
	Tasks    []string  `json:"tasks,omitempty"`    // unassigned; finished: those that have failed for good
	Running  *int      `json:"running,omitempty"`  // full
	Of       *int      `json:"of,omitempty"`       // full, unassigned: how many tasks there are
	Workers  []string  `json:"workers,omitempty"`  // members, mismatch
	From     string    `json:"from,omitempty"`     // adopted: the worker that did not take the task
	To       string    `json:"to,omitempty"`       // moving: the worker that gets it
	Here     bool      `json:"here,omitempty"`     // done: it has run in this process
	Cause    string    `json:"cause,omitempty"`    // ended, failed, lost, refused, session_refused, stopping
	Code     *int      `json:"code,omitempty"`     // ended: the exit code of COMMAND
	Signal   string    `json:"signal,omitempty"`   // stopping
	For      *float64  `json:"for,omitempty"`      // stuck: seconds
	After    *float64  `json:"after,omitempty"`    // failed, refused: seconds until the next attempt
	Failures int       `json:"failures,omitempty"` // failed: in a row, in the whole pool
	GaveUp   bool      `json:"gave_up,omitempty"`  // failed: the task is left to others for a while
	Final    bool      `json:"final,omitempty"`    // failed: the task is not run again
	Progress *progress `json:"progress,omitempty"` // progress
	Table    *table    `json:"table,omitempty"`    // table
}

// seconds returns the duration for an event.
func seconds(d time.Duration) *float64 {
	s := d.Seconds()

	return &s
}

// report writes the event as JSON, or otherwise its text as a message, unless that is empty.
func (w *worker) report(e event, text string) {
	if w.events == nil {
		if text != "" {
			w.complain(errors.New(text))
		}

		return
	}
	e.Time, e.Worker = cli.Stamp(w.clock), w.name
	line, err := json.Marshal(e)
	if err != nil {
		panic("workers: event " + e.Event + ": " + err.Error()) // an event has only plain data
	}
	_, _ = w.events.Write(append(line, '\n'))
}

// prepareLog redirects standard error as the flags say. After restore, errors appear even with --quiet.
func (w *worker) prepareLog() (restore func()) {
	asJSON := w.logFormat == "json" || w.output == "json" && !cli.Given(w.cmd, "log-format")
	w.stderr, restore = cli.RedirectLog(w.env, asJSON, w.quiet, w.clock)

	return restore
}

// prepareEvents decides where events go. They use standard error if standard output belongs to COMMAND.
func (w *worker) prepareEvents() {
	switch {
	case w.output != "json":
	case w.argv != nil:
		w.events = w.stderr
	default:
		w.events = w.env.Stdout
	}
}

// complain prints a message on standard error.
func (w *worker) complain(err error) { cli.Complain(w.env, cli.ProgramName(w.cmd), err) }

// say prints a line of the demonstration tasks.
func (w *worker) say(line string) {
	if w.argv == nil && w.events == nil && !w.quiet {
		fmt.Fprintln(w.env.Stdout, printable.Text(line))
	}
}

// verbosely returns the text with --verbose, and otherwise nothing.
func (w *worker) verbosely(format string, args ...any) string {
	if !w.env.Verbose {
		return ""
	}

	return fmt.Sprintf(format, args...)
}
