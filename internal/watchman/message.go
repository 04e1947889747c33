package watchman

import (
	"errors"
	"syscall"
	"time"

	"tenure/internal/clock"
)

// A Lease describes what the guard must know to end the session of the lease.
type Lease struct {
	Deadline clock.Instant // see guard.Guard.Extend

	// DSN is the address of the server. It is empty if the guard must not end the session: the embedded server ends a
	// session when its lifeline is cut.
	DSN     string
	Path    string
	Session uint64
	Key     []byte
	Timeout time.Duration
	Auth    []byte // the settings of package clientauth, encoded; they name files, and have no secret
}

// A Request is a message from the holder to the guard. Exactly one field is set.
type Request struct {
	Start  *Start
	Lease  *Lease
	Extend clock.Instant
	Reap   bool
	Rest   bool
	Signal int // for the group
	Resume bool
	Kill   bool
	Done   bool
}

// A Start is a COMMAND and the files that are sent before it: stdin, stdout, stderr, and then as announced.
type Start struct {
	Path, Dir  string
	Argv, Env  []string
	Ignored    []syscall.Signal
	Stands     int
	Foreground bool
	NoTerminal bool
	Pipe       bool // the next file becomes the one that TENURE_FD names
	State      bool // the next file becomes descriptor 3 of COMMAND
	Barrier    bool // the next two files are the ends of the pipe of a Barrier
	Lifelines  int  // the number of the remaining files
	Holder     string
	Task       string
}

// An Event is a message from the guard to the holder.
type Event struct {
	Kind   Kind
	PID    int                // of Started
	Errno  syscall.Errno      // of Started: why COMMAND could not be started
	Late   bool               // of Started and Gone: because the deadline has passed
	Signal syscall.Signal     // of Stopped
	Status syscall.WaitStatus // of Reaped
}

// A Kind is the kind of an Event.
type Kind string

// The events. Started is the first. Ended comes before Reaped, Reaped before Empty, each of them once.
const (
	Started   Kind = "started"   // COMMAND was started, or Errno says why not
	Stopped   Kind = "stopped"   // a signal has stopped COMMAND, which can continue
	Continued Kind = "continued" // COMMAND continues
	Resumed   Kind = "resumed"   // the answer to Resume: a Stopped before this event is out of date
	Ended     Kind = "ended"     // COMMAND has ended; its process id and group id stay reserved until Reap
	Reaped    Kind = "reaped"    // the answer to Reap
	Empty     Kind = "empty"     // after Reaped: no process is left in the group of COMMAND
	Gone      Kind = "gone"      // after Kill or Rest, or if the guard has killed COMMAND itself: no descendant is left
)

// maxMessage bounds a message. Linux limits arguments and environment to a smaller size.
const maxMessage = 64 << 20

var errFrame = errors.New("invalid message")

// message lists the fields of a message for a codec.
type message interface{ fields(c *codec) }

func (r *Request) fields(c *codec) {
	if optional(c, &r.Start) {
		r.Start.fields(c)
	}
	if optional(c, &r.Lease) {
		r.Lease.fields(c)
	}
	number(c, &r.Extend)
	flags(c, &r.Reap, &r.Rest, &r.Resume, &r.Kill, &r.Done)
	number(c, &r.Signal)
}

func (s *Start) fields(c *codec) {
	text(c, &s.Path)
	text(c, &s.Dir)
	list(c, &s.Argv, text)
	list(c, &s.Env, text)
	list(c, &s.Ignored, number)
	number(c, &s.Stands)
	flags(c, &s.Foreground, &s.NoTerminal, &s.Pipe, &s.State, &s.Barrier)
	number(c, &s.Lifelines)
	text(c, &s.Holder)
	text(c, &s.Task)
}

func (l *Lease) fields(c *codec) {
	number(c, &l.Deadline)
	text(c, &l.DSN)
	text(c, &l.Path)
	number(c, &l.Session)
	text(c, &l.Key)
	number(c, &l.Timeout)
	text(c, &l.Auth)
}

func (e *Event) fields(c *codec) {
	text(c, &e.Kind)
	number(c, &e.PID)
	number(c, &e.Errno)
	flags(c, &e.Late)
	number(c, &e.Signal)
	waitStatus(c, &e.Status)
}
