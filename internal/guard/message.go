package guard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"syscall"
	"time"

	"tenure/internal/clientauth"
	"tenure/internal/clock"
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

// A request is a message from the holder to the guard. Exactly one field is set.
type request struct {
	Start  *start        `json:",omitempty"`
	Lease  *Lease        `json:",omitempty"`
	Extend clock.Instant `json:",omitempty"`
	Reap   bool          `json:",omitempty"`
	Rest   bool          `json:",omitempty"`
	Signal int           `json:",omitempty"` // for the group
	Resume bool          `json:",omitempty"`
	Kill   bool          `json:",omitempty"`
	Done   bool          `json:",omitempty"`
}

// A start is a Program and the files that are sent before it: stdin, stdout, stderr, and then as announced.
type start struct {
	Path, Dir  []byte // text that need not be UTF-8
	Argv, Env  [][]byte
	Ignored    []syscall.Signal
	Stands     int `json:",omitempty"`
	Foreground bool
	NoTerminal bool `json:",omitempty"`
	Pipe       bool // the next file becomes the one that TENURE_FD names
	State      bool `json:",omitempty"` // the next file becomes descriptor 3 of COMMAND
	Barrier    bool `json:",omitempty"` // the next two files are the ends of the pipe of a Barrier
	Lifelines  int  // the number of the remaining files
	Holder     string
	Task       []byte `json:",omitempty"`
}

// An Event is a message from the guard to the holder.
type Event struct {
	Kind   Kind
	PID    int                `json:",omitempty"` // of Started
	Errno  syscall.Errno      `json:",omitempty"` // of Started: why COMMAND could not be started
	Late   bool               `json:",omitempty"` // of Started and Gone: because the deadline has passed
	Signal syscall.Signal     `json:",omitempty"` // of Stopped
	Status syscall.WaitStatus `json:",omitempty"` // of Reaped
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

// encode appends a message to b: its length in 4 bytes, then its JSON.
func encode(b []byte, message any) []byte {
	text, err := json.Marshal(message)
	if err != nil {
		panic("guard: encode message: " + err.Error()) // the types contain nothing that cannot be encoded
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))

	return append(b, text...)
}

// decode removes the first message from b. It reports false if b does not contain a whole message.
func decode(b []byte, message any) (rest []byte, ok bool, err error) {
	const header = 4
	if len(b) < header {
		return b, false, nil
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxMessage {
		return b, false, errFrame
	}
	if uint64(len(b)) < header+uint64(n) {
		return b, false, nil
	}
	err = json.Unmarshal(b[header:header+n], message)

	return b[header+n:], err == nil, err
}

func texts(s []string) [][]byte {
	b := make([][]byte, len(s))
	for i := range s {
		b[i] = []byte(s[i])
	}

	return b
}

func stringsOf(b [][]byte) []string {
	s := make([]string, len(b))
	for i := range b {
		s[i] = string(b[i])
	}

	return s
}
