// Package audit writes and reads the audit log of a server. The log has one line of JSON for each grant, for each end
// of a grant, and for each caller that was refused. It shows later who held what, and when.
package audit

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"tenure/internal/printable"
)

// Kind says what happened in an event.
type Kind string

// The kinds of events. The fields that a kind sets are those of its comment, besides the time.
const (
	Grant      Kind = "grant"       // a session became an owner: semaphore, token, count, session, Waited
	End        Kind = "end"         // an owner is one no longer: semaphore, token, count, session, Held, Reason
	Shrink     Kind = "shrink"      // an owner gave back a part of its count: semaphore, token, session, the count left
	Wait       Kind = "wait"        // a session joined a queue: semaphore, token, count, session
	GiveUp     Kind = "give_up"     // a waiter left a queue without a grant: semaphore, token, session, Waited, Reason
	Deleted    Kind = "deleted"     // a semaphore was deleted with force: semaphore, session of the request
	Denied     Kind = "denied"      // a request or a caller was refused: user, peer, node, Reason
	Login      Kind = "login"       // a user logged in or did not: user, peer, Reason is empty for success
	NodeCreate Kind = "node_create" // a coordination node was created: node, user, peer
	NodeDrop   Kind = "node_drop"   // a coordination node was dropped with everything in it: node, user, peer
	SessionEnd Kind = "session_end" // an operator ended a session: node, session, token if only for this one, user, peer
	Backup     Kind = "backup"      // somebody began to copy all records: user, peer
	Start      Kind = "start"       // the server started: grants of an earlier one that it reloads continue
)

// Event is one line of the audit log. Fields that are zero are left out of the line.
type Event struct {
	Time      time.Time // zero: Write sets it
	Kind      Kind
	Node      string // path
	Semaphore string
	Token     uint64 // the fencing token; for a waiter, the one that it will have
	Session   uint64
	User      string
	Peer      string // address of the client, without the port
	Who       string // the first bytes of the data that the holder attached: see Who
	Count     uint64
	Limit     uint64 // of the semaphore; 0: none, as for a lock
	Waited    time.Duration
	Held      time.Duration
	Reason    string
	Times     uint64 // how often it happened since the last such line; 0 means once
	AtLeast   bool   // Held is at least this, because the server has restarted since the grant
}

// refusal reports whether a caller was refused.
func (e *Event) refusal() bool { return e.Kind == Denied || e.Kind == Login && e.Reason != "" }

// whoLimit is the limit of Event.Who in bytes.
const whoLimit = 120

// Who returns the beginning of a holder's data, at most 120 bytes, as text.
func Who(data []byte) string {
	cut := data[:min(len(data), whoLimit)]
	for i := 0; len(cut) < len(data) && i < utf8.UTFMax-1 && !utf8.Valid(cut); i++ { // a character may have been cut
		cut = cut[:len(cut)-1]
	}

	return strings.ToValidUTF8(string(cut), "\uFFFD")
}

// maxText is the limit of a text of an event in bytes. It is above the length of every path and name that can exist, so
// that a reader finds these.
const maxText = 16 << 10

// limit cuts the texts that somebody else has chosen.
func (e *Event) limit() {
	for _, text := range []*string{&e.Node, &e.Semaphore, &e.User, &e.Peer, &e.Who, &e.Reason} {
		if len(*text) > maxText {
			*text = printable.Clip(*text, maxText) + "…"
		}
	}
}

// line is the JSON form of an Event. It is stable: fields may be added, but none changes its meaning.
type line struct {
	Time      time.Time `json:"t"`
	Kind      Kind      `json:"ev"`
	Node      string    `json:"node,omitempty"`
	Semaphore *string   `json:"sem,omitempty"` // an empty name is a name
	Token     uint64    `json:"token,omitempty"`
	Session   uint64    `json:"session,omitempty"`
	User      string    `json:"user,omitempty"`
	Peer      string    `json:"peer,omitempty"`
	Who       string    `json:"who,omitempty"`
	Count     uint64    `json:"count,omitempty"`
	Limit     uint64    `json:"limit,omitempty"`
	Waited    *int64    `json:"waited_ms,omitempty"`
	Held      *int64    `json:"held_ms,omitempty"`
	AtLeast   bool      `json:"at_least,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Times     uint64    `json:"times,omitempty"`
}

// MarshalJSON returns the event as one line of the log, without a line break.
func (e Event) MarshalJSON() ([]byte, error) {
	l := line{
		Time: e.Time.UTC().Truncate(time.Millisecond), Kind: e.Kind, Node: e.Node, Token: e.Token, Session: e.Session,
		User: e.User, Peer: e.Peer, Who: e.Who, Count: e.Count, Limit: e.Limit, AtLeast: e.AtLeast, Reason: e.Reason,
	}
	if e.Times > 1 {
		l.Times = e.Times
	}
	ms := func(d time.Duration) *int64 { n := d.Milliseconds(); return &n }
	switch e.Kind {
	case Grant:
		l.Semaphore, l.Waited = &e.Semaphore, ms(e.Waited)
	case End:
		l.Semaphore, l.Held = &e.Semaphore, ms(e.Held)
	case GiveUp:
		l.Semaphore, l.Waited = &e.Semaphore, ms(e.Waited)
	case Wait, Shrink, Deleted:
		l.Semaphore = &e.Semaphore
	case Denied, Login, NodeCreate, NodeDrop, SessionEnd, Backup, Start:
	}

	return json.Marshal(l)
}

// UnmarshalJSON reads a line of the log. It ignores fields that it does not know.
func (e *Event) UnmarshalJSON(b []byte) error {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	*e = Event{
		Time: l.Time, Kind: l.Kind, Node: l.Node, Token: l.Token, Session: l.Session, User: l.User, Peer: l.Peer,
		Who: l.Who, Count: l.Count, Limit: l.Limit, Reason: l.Reason, Times: l.Times, AtLeast: l.AtLeast,
	}
	if l.Semaphore != nil {
		e.Semaphore = *l.Semaphore
	}
	if l.Waited != nil {
		e.Waited = time.Duration(*l.Waited) * time.Millisecond
	}
	if l.Held != nil {
		e.Held = time.Duration(*l.Held) * time.Millisecond
	}

	return nil
}
