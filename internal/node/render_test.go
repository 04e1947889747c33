package node_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// change formats a record that was written or deleted.
func (s *scenario) change(r node.Record) string {
	if r.Value == nil {
		return "del " + s.key(r.Key)
	}
	var st state
	record, err := st.read(r)
	require.NoError(s.t, err)
	switch v := record.(type) {
	case countersRecord:
		return fmt.Sprintf("put counters session=%d semaphore=%d order=%d", v.session, v.semaphore, v.order)
	case sessionRecord:
		return fmt.Sprintf("put %s timeout=%s", s.key(r.Key), duration(v.timeout)) +
			optional("description", v.description) + optional("key", v.key)
	case semaphoreRecord:
		s.names[v.id] = v.name
		kind := ""
		if v.ephemeral {
			kind = " ephemeral"
		}

		return fmt.Sprintf("put %s id=%d limit=%d%s", s.key(r.Key), v.id, v.limit, kind) + optional("data", v.data)
	case linkRecord:
		return fmt.Sprintf("put %s order=%d count=%d timeout=%s", s.key(r.Key), v.order, v.count, duration(v.timeout)) +
			optional("data", v.data) + optional("since", date(v.since))
	default:
		panic(fmt.Sprintf("record %T", v))
	}
}

func (s *scenario) key(key []byte) string {
	switch k := string(key[1:]); key[0] {
	case 'l':
		return fmt.Sprintf("link s%d/%s", keyID(k[:8]), s.names[keyID(k[8:])])
	case 'm':
		return "semaphore " + short(s.names[keyID(k)])
	case 's':
		return fmt.Sprintf("session s%d", keyID(k))
	default:
		return fmt.Sprintf("record %x", key)
	}
}

// reply formats a reply. The result good is false for a refusal, for a failure of the stream, and if nothing was
// acquired or released.
func (s *scenario) reply(r node.Reply) (line string, good bool) {
	to := s.labels[r.Stream]
	switch m := r.Message.(type) {
	case node.Attached:
		return fmt.Sprintf("%s: attached session=%d timeout=%s", to, m.Session, duration(m.TimeoutMillis)), true
	case node.Failure:
		return fmt.Sprintf("%s: failure %s", to, refusal(m.Status, m.Issue)), false
	case node.Stopped:
		return fmt.Sprintf("%s: stopped session=%d", to, m.Session), true
	case node.AcquirePending:
		return fmt.Sprintf("%s: pending #%d", to, m.Req), true
	case node.Acquired:
		return outcome(to, "acquired", m.Result, m.Acquired)
	case node.Released:
		return outcome(to, "released", m.Result, m.Released)
	case node.Created:
		return outcome(to, "created", m.Result, true)
	case node.Updated:
		return outcome(to, "updated", m.Result, true)
	case node.Deleted:
		return outcome(to, "deleted", m.Result, true)
	case node.Described:
		line, good := outcome(to, "described", m.Result, m.Semaphore != nil)
		if m.WatchAdded {
			line += ", watch added"
		}

		return line + description(m.Semaphore), good
	case node.Changed:
		line := fmt.Sprintf("%s: changed #%d", to, m.Req)
		if m.DataChanged {
			line += " data"
		}
		if m.OwnersChanged {
			line += " owners"
		}

		return line, true
	default:
		panic(fmt.Sprintf("message %T", m))
	}
}

// event formats an event.
func event(e node.Event) string {
	kind := map[node.EventKind]string{
		node.Granted: "granted", node.Ended: "ended", node.Shrunk: "shrunk", node.Waiting: "waiting", node.GaveUp: "gave up",
		node.SessionEnded: "session ended", node.Destroyed: "destroyed",
	}[e.Kind]
	cause := map[node.Cause]string{
		node.ByRelease: "release", node.ByStop: "stop", node.ByExpiry: "expiry", node.ByLifeline: "lifeline",
		node.ByOperator: "operator", node.ByDelete: "delete", node.ByDrop: "drop", node.ByTimeout: "timeout",
		node.NotImmediate: "not immediate",
	}[e.Cause]
	line := fmt.Sprintf("event: %s s%d", kind, e.Session)
	if e.Kind != node.SessionEnded {
		line += "/" + e.Semaphore
	}
	if e.OrderID != 0 {
		line += fmt.Sprintf(" order=%d count=%d took=%v", e.OrderID, e.Count, e.Took)
	}
	if e.AtLeast {
		line += " at-least"
	}

	return line + optional("by", cause) + optional("data", string(e.Data))
}

// outcome formats a result. A refused request that claims to have done something is marked with AND, so that it stands
// out in the scenario.
func outcome(to, done string, r node.Result, did bool) (line string, good bool) {
	switch {
	case r.Status != node.Success && did && (done == "acquired" || done == "released" || done == "described"):
		return fmt.Sprintf("%s: %s #%d AND %s", to, done, r.Req, refusal(r.Status, r.Issue)), false
	case r.Status != node.Success:
		return fmt.Sprintf("%s: not %s #%d, %s", to, done, r.Req, refusal(r.Status, r.Issue)), false
	case r.Issue != "":
		return fmt.Sprintf("%s: %s #%d with the issue %q", to, done, r.Req, r.Issue), false
	case !did:
		return fmt.Sprintf("%s: not %s #%d", to, done, r.Req), false
	default:
		return fmt.Sprintf("%s: %s #%d", to, done, r.Req), true
	}
}

func description(d *node.Description) string {
	if d == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n  semaphore %s count=%d limit=%d", short(d.Name), d.Count, d.Limit)
	if d.Ephemeral {
		b.WriteString(" ephemeral")
	}
	b.WriteString(optional("data", string(d.Data)))
	for _, h := range d.Owners {
		fmt.Fprintf(&b, "\n  owner s%d order=%d count=%d", h.Session, h.OrderID, h.Count)
		if h.TimeoutMillis != 0 {
			fmt.Fprintf(&b, " timeout=%s", duration(h.TimeoutMillis))
		}
		b.WriteString(optional("data", string(h.Data)))
	}
	for _, h := range d.Waiters {
		fmt.Fprintf(&b, "\n  waiter s%d order=%d count=%d timeout=%s", h.Session, h.OrderID, h.Count,
			duration(h.TimeoutMillis))
		b.WriteString(optional("data", string(h.Data)))
	}

	return b.String()
}

var statusNames = map[node.Status]string{
	400000: "SUCCESS", 400010: "BAD_REQUEST", 400040: "ABORTED", 400100: "BAD_SESSION", 400120: "PRECONDITION_FAILED",
	400130: "ALREADY_EXISTS", 400140: "NOT_FOUND", 400150: "SESSION_EXPIRED",
}

func refusal(status node.Status, issue string) string {
	name, ok := statusNames[status]
	if !ok {
		name = fmt.Sprintf("STATUS %d", status)
	}

	return fmt.Sprintf("%s %q", name, issue)
}

func duration(ms uint64) string {
	switch {
	case ms == forever:
		return "forever"
	case ms > 1_000_000_000:
		return fmt.Sprintf("%dms", ms)
	default:
		return (time.Duration(ms) * time.Millisecond).String()
	}
}

// date formats a date in ms as a duration since the date at which scenarios begin.
func date(ms uint64) string {
	if ms == 0 {
		return ""
	}

	return (time.Duration(ms-firstDate) * time.Millisecond).String()
}

func optional(name, value string) string {
	if value == "" {
		return ""
	}

	return " " + name + "=" + short(value)
}

// short abbreviates a long run of one byte, for example to x*1024.
func short(s string) string {
	switch {
	case s == "":
		return `""`
	case len(s) > 20 && strings.Count(s, s[:1]) == len(s):
		return fmt.Sprintf("%s*%d", s[:1], len(s))
	default:
		return s
	}
}
