package page

import (
	"strconv"
	"strings"
	"time"

	"tenure/internal/printable"
	"tenure/server"
)

// when is a time, for people.
type when struct {
	At   time.Time
	Ago  string
	Over bool // it was before that
}

// Known reports whether the time is known.
func (w when) Known() bool { return !w.At.IsZero() }

// ISO is for programs.
func (w when) ISO() string { return w.At.UTC().Format("2006-01-02T15:04:05.000Z") }

// Full is the date and the time.
func (w when) Full() string { return w.At.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// person is an owner or a waiter in a table.
type person struct {
	Place     int // 0: it is an owner
	Node      string
	Semaphore string // its name, shown
	Link      string // of the semaphore
	Who       string
	Session   uint64
	URL       string // of the session
	Since     when
	Token     string
	Count     string // empty if the semaphore has no limit
	Gone      bool
	Ends      when
}

// row is a semaphore in the list.
type row struct {
	Node      string // empty if there is only one
	Name, URL string
	Held      bool
	Holder    person // the first one
	Others    int    // more owners
	Taken     string // "3 of 4"; empty if there is no limit
	Waiting   int
	Wait      when // of the first waiter
}

// facts are the numbers about the server.
type facts struct {
	Verdict, Problem string
	Bad, Busy        bool
	P99, Span        string
	Slow             bool
	Sessions         string
	Detached         string
	Streams          string
	Lost             string
	Frozen           when // until then nothing is granted
	Version          string
	Started          when
}

// stale says that the semaphores are not those of now.
type stale struct {
	Since when
	Error string
}

// listModel is the model of the view of all semaphores.
type listModel struct {
	base

	Health       facts
	Search       string
	Node         string // the only one, or empty
	Total        string
	Found        int
	Rows         []row
	First, Last  string // of the rows, from 1
	Prev, Next   string // URLs
	Several, Any bool
	Idle         string // how many nodes are not in memory; empty: none
	Unserved     string // how many nodes no server shows; empty: none
	Servers      []serverRow
	Owners       []ownerRow
}

// serverRow is one of several servers.
type serverRow struct {
	Address, Peer, Version, Error string
	Nodes                         int
	Started                       when
	Asked                         bool
}

// ownerRow says which of several servers serves a node.
type ownerRow struct {
	Node, Server string
	Unserved     bool
}

// base is part of all models.
type base struct {
	Title string
	Now   int64 // milliseconds since 1970
	Stale *stale
	Full  bool
}

// slowCommit is the time of a commit from which on leases of ten seconds are in danger.
const slowCommit = time.Second

// builder makes models of a snapshot as they are at a time.
type builder struct {
	s    *snapshot
	now  time.Time
	full bool
}

func (b builder) base(q query) base {
	m := base{Title: title(b.s, q), Now: b.now.UnixMilli(), Full: b.full}
	if b.s.statusErr != nil {
		m.Stale = &stale{Error: problem(b.s.statusErr)}
		if !b.s.statusAt.IsZero() {
			m.Stale.Since = b.ago(b.s.statusAt)
		}
	}

	return m
}

func (b builder) ago(at time.Time) when { return when{At: at, Ago: short(b.now.Sub(at))} }

// since returns since when h holds or waits.
func (b builder) since(h *server.HolderStatus) when {
	w := b.ago(cmpTime(h))
	w.Over = h.Since.IsZero()

	return w
}

// title is the title of the document. It begins with what is wrong, so that it can be seen in a tab.
func title(s *snapshot, q query) string {
	prefix := ""
	if s.health.live != nil || s.health.ready != nil {
		prefix = "Not ready · "
	}
	switch q.view {
	case semaphoreView:
		return prefix + nameOf(q.name) + " · tenure"
	case sessionView:
		return prefix + "Session " + strconv.FormatUint(q.session, 10) + " · tenure"
	}

	return prefix + "tenure"
}

func (b builder) health(version string, started time.Time) facts {
	h := b.s.health
	f := facts{
		Verdict: "Ready", Version: version, Started: b.ago(started), Streams: printable.Number(h.streams),
		Sessions: printable.Number(h.sessions),
		P99:      "none", Span: "since the start",
	}
	switch {
	case h.live != nil:
		f.Verdict, f.Problem, f.Bad = "Stuck", problem(h.live), true
	case h.ready != nil:
		f.Verdict, f.Problem, f.Bad = "Not ready", problem(h.ready), true
	}
	if h.commits > 0 {
		f.P99, f.Slow = seconds(h.commitP99), h.commitP99 >= slowCommit
	}
	if h.recent {
		f.Span = "last minute"
	}
	if h.detached > 0 {
		f.Detached = printable.Count(h.detached, "client gone", "clients gone")
	}
	if at := b.s.status.GrantsFrom; !at.IsZero() && b.s.statusErr == nil {
		f.Frozen = when{At: at.Round(time.Second), Ago: short(max(0, at.Sub(b.now)) + time.Second - 1)}
	}
	if h.auditDropped > 0 {
		f.Lost = strconv.FormatUint(h.auditDropped, 10)
	}

	return f
}

func (b builder) list(q query, version string, started time.Time) listModel {
	m := listModel{
		base: b.base(q), Health: b.health(version, started), Search: shown(q.search), Total: printable.Number(b.s.semaphores),
		Any: b.s.semaphores > 0, Several: len(b.s.status.Nodes) > 1,
	}
	if len(b.s.status.Nodes) == 1 {
		m.Node = shown(b.s.status.Nodes[0].Path)
	}
	words := strings.Fields(strings.ToLower(q.search))
	from := q.page * perPage
	for _, e := range b.s.entries() {
		if !e.matches(words) {
			continue
		}
		if m.Found++; m.Found > from && m.Found <= from+perPage {
			m.Rows = append(m.Rows, b.row(e, m.Several))
		}
	}
	b.cluster(&m)
	m.First, m.Last = printable.Number(from+1), printable.Number(from+len(m.Rows))
	if q.page > 0 {
		m.Prev = query{view: listView, search: q.search, page: q.page - 1}.url()
	}
	if m.Found > from+perPage {
		m.Next = query{view: listView, search: q.search, page: q.page + 1}.url()
	}

	return m
}

// maxOwnerRows is how many nodes the page lists with their servers.
const maxOwnerRows = 100

// cluster fills in what only several servers have, and which nodes have nothing to show.
func (b builder) cluster(m *listModel) {
	idle, unserved := 0, 0
	for _, n := range b.s.status.Nodes {
		switch {
		case n.Unserved:
			unserved++
		case n.Idle:
			idle++
		}
		if len(b.s.status.Servers) > 0 && len(m.Owners) < maxOwnerRows {
			m.Owners = append(m.Owners, ownerRow{shown(n.Path), shown(n.Server), n.Unserved})
		}
	}
	if idle > 0 {
		m.Idle = printable.Count(idle, "node without sessions is", "nodes without sessions are")
	}
	if unserved > 0 {
		m.Unserved = printable.Count(unserved, "node is", "nodes are")
	}
	for _, s := range b.s.status.Servers {
		r := serverRow{
			Address: shown(s.Address), Peer: shown(s.Peer), Version: shown(s.Version), Error: shown(s.Error), Nodes: s.Nodes,
			Asked: s.Asked,
		}
		if !s.Since.IsZero() {
			r.Started = b.ago(s.Since)
		}
		m.Servers = append(m.Servers, r)
	}
}

func (b builder) row(e entry, several bool) row {
	r := row{
		Name: nameOf(e.Name), URL: query{view: semaphoreView, node: e.node, name: e.Name}.url(), Held: len(e.Owners) > 0,
		Waiting: len(e.Waiters),
	}
	if several {
		r.Node = shown(e.node)
	}
	if !e.Ephemeral {
		r.Taken = taken(e.SemaphoreStatus)
	}
	if r.Held {
		r.Holder, r.Others = b.person(e, &e.Owners[0], 0), len(e.Owners)-1
	}
	if r.Waiting > 0 {
		r.Wait = b.since(&e.Waiters[0])
	}

	return r
}

func taken(s *server.SemaphoreStatus) string {
	if s.Limit == 1<<64-1 {
		return strconv.FormatUint(s.Count, 10) + " taken"
	}

	return strconv.FormatUint(s.Count, 10) + " of " + strconv.FormatUint(s.Limit, 10) + " taken"
}

func (b builder) person(e entry, h *server.HolderStatus, place int) person {
	p := person{
		Place: place, Node: shown(e.node), Semaphore: nameOf(e.Name), Who: who(h), Session: h.Session,
		Link:  query{view: semaphoreView, node: e.node, name: e.Name}.url(),
		URL:   query{view: sessionView, node: e.node, session: h.Session}.url(),
		Since: b.since(h), Token: strconv.FormatUint(h.Token, 10), Gone: !h.Attached,
	}
	if !e.Ephemeral {
		p.Count = strconv.FormatUint(h.Count, 10)
	}
	if p.Gone && !h.Ends.IsZero() {
		p.Ends = when{At: h.Ends.Round(time.Second), Ago: short(h.Ends.Sub(b.now) + time.Second - 1)}
	}

	return p
}

// matches reports whether each of the words, in lower case, is in a text of the semaphore.
func (e entry) matches(words []string) bool {
	for _, word := range words {
		if !e.contains(word) {
			return false
		}
	}

	return true
}

func (e entry) contains(word string) bool {
	in := func(text string) bool { return strings.Contains(strings.ToLower(text), word) }
	if in(e.Name) || in(e.Data) || in(e.node) {
		return true
	}
	for _, list := range [][]server.HolderStatus{e.Owners, e.Waiters} {
		for i := range list {
			if in(list[i].Data) || in(list[i].Description) {
				return true
			}
		}
	}

	return false
}
