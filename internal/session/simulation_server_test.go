package session_test

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// The semaphores of the schedules, and their limits. The limit of the ephemeral one is the largest possible.
var (
	names  = []string{"lock", "pool", "passing"}
	limits = map[string]uint64{"lock": 1, "pool": 3, "passing": node.Forever}
)

const ephemeral = "passing"

// The node's settings, and the grace period that it adds to session timeouts after a restart with them (N5).
var (
	settings = node.Config{SelfCheckPeriodMillis: 500, SessionGracePeriodMillis: 1_500}
	grace    = settings.Grace()
)

// server is the node, its records, and what an observer session sees at the node.
type server struct {
	w       *world
	node    *node.Node // nil while the server is down or the node is dropped
	exists  bool
	records map[string][]byte
	last    node.StreamID
	wake    clock.Instant
	streams map[node.StreamID]*stream
	admin   node.From // the observer session

	// The fields below record what the observer sees. A generation of a semaphore lasts until the semaphore is deleted
	// or its node is dropped. Clients may treat leases of an earlier generation as held, because the node does not
	// notify owners of a deletion (S3).
	epoch       uint64 // counts how often the node was dropped
	generations map[string]uint64
	owners      map[string][]node.Holder
	waiters     map[string][]node.Holder
}

func newServer(w *world) *server {
	s := &server{w: w, streams: make(map[node.StreamID]*stream), generations: make(map[string]uint64)}
	s.create()

	return s
}

// create creates the node, without any records.
func (s *server) create() {
	s.exists, s.node, s.admin = true, node.New(), node.From{}
	s.records = make(map[string][]byte)
	s.owners, s.waiters = make(map[string][]node.Holder), make(map[string][]node.Holder)
	s.prepare()
}

// prepare attaches the observer and creates the missing semaphores.
func (s *server) prepare() {
	s.last++
	s.admin.Stream = s.last
	s.apply(node.Attach{
		Stream: s.last, Session: s.admin.Session, TimeoutMillis: 1_800_000,
		ProtectionKey: []byte("observer"), // a client of a node that was dropped may ask for a session with the same id
	})
	for _, name := range names {
		if name != ephemeral {
			s.apply(node.Create{From: s.admin, Semaphore: name, Limit: limits[name]})
		}
	}
}

// apply lets the node process a request. Its changes are durable before its replies are sent. Sometimes the node
// crashes between the two, or before the changes are durable.
func (s *server) apply(r node.Request) {
	if s.node == nil {
		return
	}
	var fx node.Effects
	s.node.Apply(s.w.now, r, &fx)
	torn := s.w.odds.Torn > 0 && len(fx.Changes) > 0 && s.w.chance(0.003)
	if torn {
		s.w.hit.Torn++
	}
	if torn && s.w.chance(0.5) {
		s.crash() // before any change is durable

		return
	}
	for _, c := range fx.Changes {
		if c.Value == nil {
			delete(s.records, string(c.Key))
		} else {
			s.records[string(c.Key)] = c.Value
		}
	}
	if d, ok := r.(node.Delete); ok && slices.ContainsFunc(fx.Replies, deleted) {
		s.generations[d.Semaphore]++
	}
	s.look()
	if torn {
		s.crash()

		return
	}
	for _, reply := range fx.Replies {
		s.reply(reply)
	}
	s.plan(fx.Wake)
}

func deleted(r node.Reply) bool {
	m, ok := r.Message.(node.Deleted)

	return ok && m.Status == node.Success
}

func (s *server) reply(r node.Reply) {
	if m, ok := r.Message.(node.Attached); ok && r.Stream == s.admin.Stream {
		s.admin.Session = m.Session
	}
	if st := s.streams[r.Stream]; st != nil {
		st.reply(r.Message)
	}
}

func (s *server) plan(wake clock.Instant) {
	if s.wake = wake; wake == 0 {
		return
	}
	at := s.node
	s.w.at(wake, func() {
		if s.node == at && s.wake == wake {
			s.apply(node.Tick{})
		}
	})
}

// look updates what the observer sees. It checks that order ids increase: the order id of a new owner is above those of
// all earlier owners (Q9).
func (s *server) look() {
	for _, name := range names {
		var fx node.Effects
		s.node.Apply(s.w.now, node.Describe{
			From: s.admin, Semaphore: name, IncludeOwners: true, IncludeWaiters: true,
		}, &fx)
		var d node.Description
		if len(fx.Replies) == 1 {
			if m := fx.Replies[0].Message.(node.Described); m.Semaphore != nil {
				d = *m.Semaphore
			}
		}
		var highest uint64
		for _, o := range s.owners[name] {
			highest = max(highest, o.OrderID)
		}
		for _, o := range d.Owners {
			known := slices.ContainsFunc(s.owners[name], func(h node.Holder) bool { return h.OrderID == o.OrderID })
			if !known && o.OrderID <= highest {
				s.w.fail("order id %d of %q has been granted after %d", o.OrderID, name, highest)
			}
		}
		s.owners[name], s.waiters[name] = d.Owners, d.Waiters
	}
}

// alive reports whether the node has the session.
func (s *server) alive(id uint64) bool {
	_, ok := s.records[string(binary.BigEndian.AppendUint64([]byte{'s'}, id))]

	return ok
}

// crash kills the server. It comes back with its records after a while.
func (s *server) crash() {
	if s.node == nil {
		return
	}
	lost := s.w.now
	s.w.log("server: crash")
	s.node = nil
	for _, id := range slices.Sorted(maps.Keys(s.streams)) {
		s.streams[id].orphan()
	}
	clear(s.streams)
	epoch := s.epoch
	s.w.after(s.w.between(0, time.Second), func() {
		if s.epoch != epoch {
			return
		}
		s.w.log("server: back")
		n, err := node.Load(lost, settings, func(yield func(node.Record, error) bool) {
			for _, k := range slices.Sorted(maps.Keys(s.records)) {
				if !yield(node.Record{Key: []byte(k), Value: s.records[k]}, nil) {
					return
				}
			}
		})
		if err != nil {
			s.w.fail("load: %v", err)
		}
		s.node = n
		s.prepare()
	})
}

// drop removes the node with its sessions and semaphores (N3), and creates it again after a while.
func (s *server) drop() {
	if s.node == nil {
		return
	}
	s.w.log("server: drop")
	s.node, s.exists = nil, false
	s.epoch++
	for _, id := range slices.Sorted(maps.Keys(s.streams)) {
		s.streams[id].fail(node.Unavailable)
	}
	clear(s.streams)
	s.w.after(s.w.between(0, s.w.unit), s.create)
}

// forceDelete deletes a semaphore although it has owners (S3), and creates it again after a while.
func (s *server) forceDelete() {
	name := pick(s.w, "lock", "pool")
	s.w.log("server: force delete %q", name)
	s.apply(node.Delete{From: s.admin, Semaphore: name, Force: true})
	s.w.after(s.w.between(0, s.w.unit), func() {
		s.apply(node.Create{From: s.admin, Semaphore: name, Limit: limits[name]})
	})
}

// steal attaches another stream to a client's session, as a delayed stream of the client itself could.
func (s *server) steal(c *client) {
	s.last++
	id := s.last
	s.w.log("server: stream %d steals session %d", id, c.id)
	s.apply(node.Attach{
		Stream: id, Session: c.id, Seq: c.opened, ProtectionKey: c.cfg.Key,
		TimeoutMillis: uint64(c.cfg.Timeout.Milliseconds()),
	})
	s.w.after(s.w.between(0, s.w.unit), func() { s.apply(node.Detach{Stream: id}) })
}
