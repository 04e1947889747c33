package guard

import (
	"encoding/json"
	"syscall"
	"time"

	"tenure/internal/clientauth"
	"tenure/internal/clock"
	"tenure/internal/watchman"
)

// A Program is a COMMAND to start.
type Program struct {
	Path string
	Argv []string
	Env  []string // all of it, except what the guard adds
	Dir  string   // empty: the directory of the holder

	Ignored    []syscall.Signal // are ignored by COMMAND; it starts with the default action for all others
	Stands     int              // if not 0: the id of a process that COMMAND stands for, see Watcher; killed with it
	Foreground bool             // COMMAND becomes the foreground process group of the controlling terminal
	NoTerminal bool             // COMMAND leads a session of its own, which has no controlling terminal
	Task       string           // what COMMAND works on, for people; empty: what the lock is for
}

// A Lease describes what the guard must know to end the session of the lease.
type Lease struct {
	Deadline clock.Instant // see Guard.Extend

	// DSN is the address of the server. It is empty if the guard must not end the session: the embedded server ends a
	// session when its lifeline is cut.
	DSN     string
	Path    string
	Session uint64
	Key     []byte
	Timeout time.Duration
	Auth    clientauth.Settings // names files, and has no secret
}

// message returns what the guard gets.
func (l *Lease) message() (*watchman.Lease, error) {
	if l == nil {
		return &watchman.Lease{}, nil
	}
	m := &watchman.Lease{
		Deadline: l.Deadline, DSN: l.DSN, Path: l.Path, Session: l.Session, Key: l.Key, Timeout: l.Timeout,
	}
	if l.DSN == "" {
		return m, nil
	}
	var err error
	m.Auth, err = json.Marshal(l.Auth)

	return m, err
}

// An Event is a message from the guard to the holder.
type Event = watchman.Event

// The kinds of an Event.
const (
	Started   = watchman.Started
	Stopped   = watchman.Stopped
	Continued = watchman.Continued
	Resumed   = watchman.Resumed
	Ended     = watchman.Ended
	Reaped    = watchman.Reaped
	Empty     = watchman.Empty
	Gone      = watchman.Gone
)
