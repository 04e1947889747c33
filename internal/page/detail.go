package page

import (
	"strconv"
	"time"

	"tenure/internal/audit"
	"tenure/internal/printable"
	"tenure/server"
)

const (
	maxPeople  = 500 // owners or waiters that a view lists
	historyLen = 20
)

// semaphoreModel is the model of the view of a semaphore.
type semaphoreModel struct {
	base

	Name, Node string
	Exists     bool
	Idle       bool // the node is not in memory, so nobody holds the semaphore if it exists
	Unserved   bool // no server shows the node
	Taken      string
	Data       string
	Owners     []person
	Waiters    []person
	MoreOwners string // how many are not listed; empty: none
	More       string // the same for waiters
	Counts     bool
	History    history
}

// table is what the tables of owners and of waiters are made of.
type table struct {
	List   []person
	Queue  bool
	Counts bool
}

// People returns the table of the owners, or that of the queue.
func (m semaphoreModel) People(queue bool) table {
	if queue {
		return table{m.Waiters, true, m.Counts}
	}

	return table{m.Owners, false, m.Counts}
}

// history is the end of the audit log about a semaphore.
type history struct {
	Log    bool // there is a log
	Error  string
	Events []event
}

// event is a line of the audit log.
type event struct {
	At     when
	What   string
	Token  string
	Who    string
	Detail string
	Bad    bool
}

func (b builder) semaphore(q query, h history) semaphoreModel {
	m := semaphoreModel{base: b.base(q), Name: nameOf(q.name), Node: shown(q.node), History: h}
	for _, n := range b.s.status.Nodes {
		if n.Path != q.node {
			continue
		}
		m.Idle, m.Unserved = n.Idle, n.Unserved
		for i := range n.Semaphores {
			s := &n.Semaphores[i]
			if s.Name != q.name {
				continue
			}
			e := entry{q.node, s}
			m.Exists, m.Data, m.Counts = true, shown(s.Data), !s.Ephemeral
			if !s.Ephemeral {
				m.Taken = taken(s)
			}
			m.Owners, m.MoreOwners = b.people(e, s.Owners, false)
			m.Waiters, m.More = b.people(e, s.Waiters, true)
		}
	}

	return m
}

func (b builder) people(e entry, list []server.HolderStatus, waiting bool) (people []person, more string) {
	for i := range list {
		if i == maxPeople {
			return people, printable.Number(len(list) - i)
		}
		place := 0
		if waiting {
			place = i + 1
		}
		people = append(people, b.person(e, &list[i], place))
	}

	return people, ""
}

// sessionModel is the model of the view of a session.
type sessionModel struct {
	base

	Session     uint64
	Node        string
	Found       bool
	Gone        bool
	Ends        when
	Description string
	Holds       []person
	Waits       []person
	More        string
	End         string // URL of the page that ends it
}

// Links returns the table of what the session holds, or of what it waits for.
func (m sessionModel) Links(queue bool) table {
	if queue {
		return table{List: m.Waits, Queue: true}
	}

	return table{List: m.Holds}
}

func (b builder) session(q query) sessionModel {
	m := sessionModel{
		base: b.base(q), Session: q.session, Node: shown(q.node),
		End: "/session/end" + query{view: sessionView, node: q.node, session: q.session}.url()[len(sessionView):],
	}
	links := 0
	add := func(to *[]person, e entry, list []server.HolderStatus, waiting bool) {
		for i := range list {
			if list[i].Session != q.session {
				continue
			}
			if links++; links > maxPeople {
				m.More = printable.Number(links - maxPeople)

				continue
			}
			p := b.person(e, &list[i], 0)
			if waiting {
				p.Place = i + 1
			}
			*to = append(*to, p)
			m.Found, m.Gone, m.Ends, m.Description = true, p.Gone, p.Ends, shown(list[i].Description)
		}
	}
	for _, e := range b.s.entries() {
		if e.node == q.node {
			add(&m.Holds, e, e.Owners, false)
			add(&m.Waits, e, e.Waiters, true)
		}
	}

	return m
}

// lines remembers the last history that was read. A view is rendered up to twice for a snapshot.
type lines struct {
	of    *snapshot
	query query
	last  history
}

func (l *lines) history(file string, s *snapshot, q query) history {
	if l.of != s || l.query != q {
		l.of, l.query, l.last = s, q, readHistory(file, q.node, q.name)
	}

	return l.last
}

// readHistory returns the last lines of the audit log about a semaphore.
func readHistory(file, node, name string) history {
	if file == "" {
		return history{}
	}
	events, err := audit.Tail(file, node, name, historyLen)
	h := history{Log: true}
	if err != nil {
		h.Error = shown(err.Error())
	}
	for _, e := range events {
		h.Events = append(h.Events, describe(e))
	}

	return h
}

func describe(e audit.Event) event {
	out := event{At: when{At: e.Time}, Token: number64(e.Token), Who: shown(e.Who), What: string(e.Kind)}
	switch e.Kind {
	case audit.Grant:
		out.What, out.Detail = "granted", "immediately"
		if e.Waited >= time.Millisecond {
			out.Detail = "waited " + took(e.Waited)
		}
	case audit.End:
		out.What, out.Detail = cause(e.Reason), "held for "+took(e.Held)
		out.Bad = e.Reason != "released" && e.Reason != "stopped"
		if e.AtLeast {
			out.Detail = "held for more than " + took(e.Held)
		}
	case audit.Shrink:
		out.What, out.Detail = "gave back a part", "kept "+strconv.FormatUint(e.Count, 10)
	case audit.Wait:
		out.What = "began to wait"
	case audit.GiveUp:
		out.What, out.Detail = "gave up", cause(e.Reason)+" after "+took(e.Waited)
	case audit.Deleted:
		out.What, out.Bad = "deleted with force", true
	case audit.Denied:
		out.What, out.Detail, out.Bad = "refused", shown(e.Reason), true
	case audit.Login, audit.NodeCreate, audit.NodeDrop, audit.SessionEnd, audit.Backup,
		audit.Start: // not about a semaphore
	}
	if out.Who == "" && e.Session != 0 {
		out.Who = "session " + strconv.FormatUint(e.Session, 10)
	}
	if e.User != "" {
		out.Who += " (user " + shown(e.User) + ")"
	}

	return out
}

func number64(n uint64) string {
	if n == 0 {
		return ""
	}

	return strconv.FormatUint(n, 10)
}

func took(d time.Duration) string {
	if d < time.Second {
		return seconds(d)
	}

	return short(d)
}

// cause returns the reason of an end in words.
func cause(reason string) string {
	switch reason {
	case "released":
		return "released"
	case "stopped":
		return "session ended by its client"
	case "expired":
		return "session timed out"
	case "lifeline":
		return "process died"
	case "operator":
		return "session ended by an operator"
	case "deleted":
		return "semaphore deleted"
	case "dropped":
		return "node dropped"
	case "timeout":
		return "timed out"
	case "not_now":
		return "not available immediately"
	case "superseded":
		return "replaced by another request"
	}

	return shown(reason)
}
