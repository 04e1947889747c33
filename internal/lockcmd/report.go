package lockcmd

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/look"
)

// An event is something that happens to the lock, as one line of -o json. Its fields are documented in docs/lock.md.
type event struct {
	Event string    `json:"event"`
	Time  time.Time `json:"time"`
	Names []string  `json:"names"`

	Place     *int              `json:"place,omitempty"`     // waiting: 1 is the next one in the queue
	Holders   []look.Holder     `json:"holders,omitempty"`   // waiting
	Tokens    map[string]uint64 `json:"tokens,omitempty"`    // acquired: by name
	Waited    *float64          `json:"waited,omitempty"`    // acquired: seconds
	Remaining *float64          `json:"remaining,omitempty"` // danger, safe: seconds until someone else may get the lock
	Cause     string            `json:"cause,omitempty"`     // danger, lost, stopping, released, session_refused
	Signal    string            `json:"signal,omitempty"`    // stopping
	After     *float64          `json:"after,omitempty"`     // restarted: seconds
	Run       *run              `json:"run,omitempty"`       // skipped: the successful run for the key
	Code      *int              `json:"code,omitempty"`      // exited: of COMMAND
}

// seconds returns the duration for an event.
func seconds(d time.Duration) *float64 {
	s := d.Seconds()

	return &s
}

// now returns the date and the time by a clock.
func now(c clock.Clock) time.Time { return c.Time(c.Now()) }

// A reporter tells the user what happens to the lock, in lines of text or as JSON. Its methods are safe for concurrent
// use.
type reporter struct {
	clock  clock.Clock
	names  []string
	events io.Writer         // for JSON; nil: text
	text   func(line string) // prints a line on standard error
}

// report writes the event as JSON, or otherwise its text unless that is empty.
func (r *reporter) report(e event, text string) {
	if r.events == nil {
		if text != "" {
			r.text(text)
		}

		return
	}
	e.Time, e.Names = cli.Stamp(r.clock), r.names
	line, err := json.Marshal(e)
	if err != nil {
		panic("lock: event " + e.Event + ": " + err.Error()) // an event has only plain data
	}
	_, _ = r.events.Write(append(line, '\n'))
}

// prepareLog redirects standard error as the flags say. After restore, errors appear even with --quiet.
func (l *locker) prepareLog() (restore func()) {
	asJSON := l.logFormat == "json" || l.output == "json" && !cli.Given(l.cmd, "log-format")
	l.stderr, restore = cli.RedirectLog(l.env, asJSON, l.quiet, l.clock)

	return restore
}

// newReporter returns the reporter that the flags ask for. It uses standard error if standard output is COMMAND's.
func (l *locker) newReporter() *reporter {
	r := &reporter{clock: l.clock, names: l.names, text: func(line string) { l.complain(errors.New(line)) }}
	switch {
	case l.output != "json":
	case l.command != nil:
		r.events = l.stderr
	default:
		r.events = l.env.Stdout
	}

	return r
}
