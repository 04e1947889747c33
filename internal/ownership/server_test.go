package ownership_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// server is a process that owns spaces.
type server struct {
	w            *world
	id           string
	registration int64
	settledAt    int64
	registering  bool
	hosts        map[store.Space]*host
	targets      map[store.Space]string
	gone         []string // dead servers whose registration it has removed
	cut          int64    // until then, it does not reach etcd
	paused, dead bool
	waiting      []func() // what happens when it goes on
}

func (w *world) startServer() {
	w.born++
	s := &server{w: w, id: fmt.Sprintf("s%d", w.born), hosts: make(map[store.Space]*host)}
	s.targets = make(map[store.Space]string)
	w.servers, w.ids = append(w.servers, s), append(w.ids, s.id)
	s.register()
}

// register registers the server, which etcd does with a lease. The owner of a registration that expires notices it.
func (s *server) register() {
	if s.registering {
		return
	}
	s.registering = true
	w := s.w
	w.after(w.between(0, 10), func() {
		s.run(func() {
			s.registering = false
			if w.down > w.now || s.cut > w.now {
				s.register()

				return
			}
			key := ownership.ServerKey(s.id)
			if _, ok := w.etcd.kv(key); ok {
				return
			}
			r, _ := w.apply(nil, nil, ownership.Txn{Then: []ownership.Op{{Kind: ownership.Put, Key: key}}})
			s.registration, s.settledAt = r.Revision, w.now+ttl
		})
	})
}

// run does something when the server runs.
func (s *server) run(f func()) {
	switch {
	case s.dead:
	case s.paused:
		s.waiting = append(s.waiting, f)
	default:
		f()
	}
}

func (s *server) pause(d int64) {
	s.w.log("%s pauses", s.id)
	s.paused = true
	s.w.after(d, s.resume)
}

func (s *server) resume() {
	if !s.paused {
		return
	}
	s.w.log("%s resumes", s.id)
	s.paused = false
	for _, f := range s.waiting {
		s.w.after(0, func() { s.run(f) })
	}
	s.waiting = nil
}

func (s *server) kill() {
	s.w.log("%s is killed", s.id)
	s.dead = true
	s.w.servers = slices.DeleteFunc(s.w.servers, func(o *server) bool { return o == s })
}

// request is a request of a client. The state of the truth when it was sent is what its answer must include.
type request struct {
	id             int
	kind           kind
	space          store.Space
	sent           int64
	acked, durable uint64
	dropped        bool

	front     *server  // that the client has sent it to
	forwarded bool     // the front has sent it on
	avoid     []string // servers to which the front has sent it in vain
	tries     int
}

type kind int

const (
	grant     kind = iota // assigns the next token
	read                  // returns the last token
	forget                // deletes the record of a token
	dropSpace             // drops a space; only for the catalog
)

// host is the owner of a space in one server: the machine and its Core.
type host struct {
	server *server
	space  store.Space
	core   *ownership.Core
	queue  []*request

	loaded  bool
	records map[string]string
	proved  int64  // when the last proof arrived
	batch   *batch // that waits for its commit or its proof
	ended   bool   // nobody calls it any more
}

// batch is what is answered at once.
type batch struct {
	host     *host
	requests []*request
	tokens   map[int]uint64 // by the id of the request
	changes  []node.Record
	drop     []store.Space
	ticket   uint64 // of its proof; 0: the commit is the proof
	applied  bool
	denied   bool // its clients were told that it was not applied
}

func (s *server) receive(r *request) {
	h := s.hosts[r.space]
	if h == nil {
		h = s.host(r)
	}
	h.queue = append(h.queue, r)
	if s.w.chance(0.6) {
		s.w.after(s.w.between(0, 30), h.alive(h.look))
	}
	h.next()
}

// look asks for a proof for something else than a batch.
func (h *host) look() {
	if h.loaded {
		h.call(func(fx *ownership.Effects) { h.core.Confirm(fx) })
	}
}

// host claims the space of a request. A front has a target in mind, on which servers need not agree, and which need not
// be alive. A server to which a request was sent on has none.
func (s *server) host(r *request) *host {
	w, space := s.w, r.space
	h := &host{server: s, space: space}
	target := ""
	if !r.forwarded {
		target = s.target(space)
	}
	h.core = ownership.New(ownership.Config{
		Server: s.id, Registration: s.registration, Settled: s.settledAt <= w.now, Gone: slices.Clone(s.gone), Space: space,
		Target: target, Avoid: r.avoid,
		PartBytes: 40 + w.rand.IntN(200), FoldEntries: 2 + w.rand.IntN(6), FoldBytes: 200 + w.rand.IntN(500),
		FoldOps: 4 + w.rand.IntN(4),
	})
	s.hosts[space] = h
	w.hosts = append(w.hosts, h)
	h.call(h.core.Claim)

	return h
}

// target returns the server that should have the space, in the opinion of this one.
func (s *server) target(space store.Space) string {
	if _, ok := s.targets[space]; !ok || s.w.odd(s.w.odds.HandOver, 0.1) {
		s.targets[space] = s.w.anyone()
	}

	return s.targets[space]
}

// call calls a method of the core and performs its effects.
func (h *host) call(f func(*ownership.Effects)) {
	var fx ownership.Effects
	f(&fx)
	for _, a := range fx.Actions {
		switch a := a.(type) {
		case ownership.Send:
			h.send(a)
		case ownership.Claimed:
			h.server.w.claimed(h)
			h.load(ownership.NewLoading(h.space, 0))
		case ownership.Committed:
			h.answer()
		case ownership.Confirmed:
			h.proved = h.server.w.now
			if b := h.batch; b != nil && b.ticket != 0 && b.ticket <= a.Ticket {
				h.answer()
			}
		case ownership.Over:
			h.over(a.Cause)
		}
	}
	h.next()
}

// alive does something unless the host has ended.
func (h *host) alive(f func()) func() {
	return func() {
		h.server.run(func() {
			if !h.ended {
				f()
			}
		})
	}
}

func (h *host) send(a ownership.Send) {
	w := h.server.w
	delay := int64(0)
	if a.Attempt > 1 {
		delay = w.between(0, 20)
	}
	w.after(delay, h.alive(func() {
		b := h.batch
		w.transmit(h, b, a.Txn, func(r ownership.Result, err error) {
			h.alive(func() {
				if err != nil {
					h.call(func(fx *ownership.Effects) { h.core.Refused(a.ID, err, fx) })

					return
				}
				h.call(func(fx *ownership.Effects) { h.core.Answer(a.ID, r, fx) })
			})()
		}, h.alive(func() {
			if w.breaks.unknown(h, a, b) {
				return
			}
			h.call(func(fx *ownership.Effects) { h.core.Unknown(a.ID, fx) })
		}))
	}))
}

// load loads the records.
func (h *host) load(l *ownership.Loading) {
	t, more := l.Next()
	if !more {
		h.loaded = true
		h.next()

		return
	}
	if h.records == nil {
		h.records = make(map[string]string)
	}
	h.server.w.transmit(h, nil, t, func(r ownership.Result, err error) {
		h.alive(func() {
			if err != nil { // compacted
				h.records = nil
				h.load(ownership.NewLoading(h.space, 0))

				return
			}
			records, err := l.Take(r)
			if err != nil {
				h.server.w.fail("load space %d: %v", h.space, err)
			}
			for _, r := range records {
				h.records[string(r.Key)] = string(r.Value)
			}
			h.load(l)
		})()
	}, h.alive(func() { h.load(l) }))
}

// next takes the waiting requests as a batch, if there is none.
func (h *host) next() {
	if h.ended || !h.loaded || h.batch != nil || len(h.queue) == 0 {
		return
	}
	b := &batch{host: h, requests: h.queue, tokens: make(map[int]uint64)}
	h.queue, h.batch = nil, b
	for _, r := range b.requests {
		h.do(b, r)
	}
	switch w := h.server.w; {
	case len(b.changes)+len(b.drop) > 0:
		h.call(func(fx *ownership.Effects) {
			h.core.Commit(store.Batch{Space: h.space, Changes: b.changes, Drop: b.drop}, fx)
		})
	case w.breaks.proofless(h):
		h.answer()
	default:
		h.call(func(fx *ownership.Effects) { b.ticket = h.core.Confirm(fx) })
	}
}

// do carries out a request. As in a node, the last token is a record.
func (h *host) do(b *batch, r *request) {
	w := h.server.w
	last := decodeToken(h.records["last"])
	set := func(key, value string) {
		h.records[key] = value
		b.changes = append(b.changes, node.Record{Key: []byte(key), Value: []byte(value)})
	}
	switch r.kind {
	case grant:
		last++
		set("last", encodeToken(last))
		set(fmt.Sprintf("b%d", r.id), strings.Repeat("x", w.rand.IntN(1+w.rand.IntN(150))))
		b.tokens[r.id] = last
	case read:
		b.tokens[r.id] = last
	case forget:
		for _, key := range slices.Sorted(maps.Keys(h.records)) {
			if key != "last" {
				delete(h.records, key)
				b.changes = append(b.changes, node.Record{Key: []byte(key)})

				break
			}
		}
	case dropSpace:
		b.drop = append(b.drop, store.Space(1+w.rand.Uint64N(uint64(lastSpace))))
	}
}

func (h *host) answer() {
	b := h.batch
	h.batch = nil
	h.server.w.answered(b)
}

// pass sends a request on to the server that serves its space, or should serve it.
func (s *server) pass(r *request, to string) {
	w := s.w
	other := w.server(to)
	w.after(w.between(0, 5), func() {
		switch {
		case r.forwarded: // one hop is enough
			r.front.run(func() { r.front.rejected(r, s.id) })
		case other == nil:
			s.run(func() { s.refused(r, to) })
		case w.odd(w.odds.Refuse, 0.2):
			w.hit.Refuse++
			s.run(func() { s.rejected(r, to) })
		default:
			r.forwarded = true
			other.run(func() { other.receive(r) })
		}
	})
}

// rejected tries again after a server has not served a request that was sent on to it.
func (s *server) rejected(r *request, by string) {
	r.forwarded = false
	if s.w.breaks != forgetRefusal {
		r.avoid = append(r.avoid, by)
	}
	r.tries++
	if r.tries < 20 {
		s.w.after(s.w.between(5, 30), func() { s.run(func() { s.receive(r) }) })
	}
}

// refused is called when the server cannot connect to another one, because that is dead. It may remove the registration
// of that one.
func (s *server) refused(r *request, dead string) {
	w := s.w
	if w.odd(w.odds.Remove, 0.3) && w.down <= w.now && s.cut <= w.now {
		w.hit.Remove++
		s.gone = append(s.gone, dead)
		w.remove(dead)
	}
	s.rejected(r, dead)
}

// over ends the host. The clients ask again.
func (h *host) over(cause error) {
	w := h.server.w
	w.log("%s: space %d: over: %v", h.server.id, h.space, cause)
	h.ended = true
	delete(h.server.hosts, h.space)
	owned, elsewhere := errors.AsType[*store.OwnedError](cause)
	if !elsewhere {
		h.again()
	}
	switch {
	case elsewhere:
		for _, r := range h.queue {
			h.server.pass(r, owned.Server)
		}
	case errors.Is(cause, ownership.ErrUnregistered):
		h.server.register()
	case errors.Is(cause, ownership.ErrReleased):
		w.hit.HandOver++
	case errors.Is(cause, store.ErrDamaged):
		w.fail("%v", cause)
	}
}

// again makes the clients send what V9 counts again.
func (h *host) again() {
	all := h.queue
	if h.batch != nil {
		all = append(all, h.batch.requests...)
	}
	for _, r := range all {
		h.server.w.again(r)
	}
}

// abandon ends the host at any moment, as the end of a context does.
func (h *host) abandon() {
	if !h.ended {
		h.ended = true
		delete(h.server.hosts, h.space)
	}
}

func (h *host) handOver(to string) {
	if !h.ended && h.loaded && h.batch == nil {
		h.loaded = false
		h.call(func(fx *ownership.Effects) { h.core.Release(to, fx) })
	}
}

func encodeToken(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

func decodeToken(s string) uint64 {
	if s == "" {
		return 0
	}

	return binary.BigEndian.Uint64([]byte(s))
}
