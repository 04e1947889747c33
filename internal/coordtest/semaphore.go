package coordtest

import (
	"math"
	"slices"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
)

// A semaphore has owners and a queue of waiters. An ephemeral semaphore is deleted when it has neither (Q11).
type semaphore struct {
	persistent bool
	limit      uint64
	data       []byte
	links      []*link // by order id; the first ones own the semaphore (Q10)
	owners     int     // the number of links that own the semaphore
	watches    map[*Session]func(options.SemaphoreWatchEvent)
}

// A link makes a session the owner of a semaphore, or a waiter.
type link struct {
	session *Session
	request *request
	order   uint64
	count   uint64
	data    []byte
}

// held returns the number of units that are held.
func (sem *semaphore) held() (sum uint64) {
	for _, l := range sem.links[:sem.owners] {
		sum += l.count
	}

	return sum
}

// index returns the position of the session's link, or -1.
func (sem *semaphore) index(s *Session) int {
	if sem == nil {
		return -1
	}

	return slices.IndexFunc(sem.links, func(l *link) bool { return l.session == s })
}

// promote grants the semaphore to the first waiters, as far as it reaches; Q9.
func (sem *semaphore) promote() {
	for sem.owners < len(sem.links) && sem.links[sem.owners].count <= sem.limit-sem.held() {
		next := sem.links[sem.owners]
		sem.owners++
		next.session.answer(next.request, nil)
		sem.changed()
	}
}

// watch replaces the session's watch, which loses the earlier one. Without a handler, there is no watch afterwards.
func (sem *semaphore) watch(s *Session, handler func(options.SemaphoreWatchEvent)) {
	if lost := sem.watches[s]; lost != nil {
		go lost(options.SemaphoreWatchEvent{Lost: true})
	}
	delete(sem.watches, s)
	if handler != nil {
		if sem.watches == nil {
			sem.watches = map[*Session]func(options.SemaphoreWatchEvent){}
		}
		sem.watches[s] = handler
	}
}

// changed fires the watches, because the owners have changed; S6.
func (sem *semaphore) changed() {
	for s, handler := range sem.watches {
		s.toClient(func() { go handler(options.SemaphoreWatchEvent{OwnersChanged: true}) })
	}
	clear(sem.watches)
}

func (sem *semaphore) describe(name string, o options.DescribeSemaphoreConfig) *coordination.SemaphoreDescription {
	list := func(links []*link) (all []*coordination.SemaphoreSession) {
		for _, l := range links {
			all = append(all, &coordination.SemaphoreSession{
				SessionID: l.session.id, Count: l.count, OrderID: l.order, Data: l.data, Timeout: math.MaxInt64,
			})
		}

		return all
	}
	found := &coordination.SemaphoreDescription{
		Name: name, Ephemeral: !sem.persistent, Limit: sem.limit, Count: sem.held(), Data: sem.data,
	}
	if o.IncludeOwners {
		found.Owners = list(sem.links[:sem.owners])
	}
	if o.IncludeWaiters {
		found.Waiters = list(sem.links[sem.owners:])
	}

	return found
}

// acquire is the service's part of an acquire; Q3 to Q7.
func (s *Session) acquire(o *Ydb_Coordination.SessionRequest_AcquireSemaphore, req *request) {
	if err := s.service.fault("AcquireSemaphore"); err != nil {
		s.answer(req, err)

		return
	}
	sem := s.node.semaphores[o.GetName()]
	switch {
	case sem == nil && !o.GetEphemeral():
		s.answer(req, &StatusError{Ydb.StatusIds_NOT_FOUND, "Semaphore does not exist"})

		return
	case sem == nil:
		sem = &semaphore{limit: coordination.MaxSemaphoreLimit}
		s.node.semaphores[o.GetName()] = sem
	case sem.persistent == o.GetEphemeral():
		s.answer(req, &StatusError{Ydb.StatusIds_PRECONDITION_FAILED, "Semaphore ephemeral mode mismatch"})

		return
	}
	if o.GetCount() > sem.limit {
		s.answer(req, &StatusError{
			Ydb.StatusIds_BAD_REQUEST, "Cannot acquire more than allowed by the semaphore",
		})

		return
	}
	s.link(sem, o, req)
}

// link makes the session a waiter, and an owner if that is possible.
func (s *Session) link(sem *semaphore, o *Ydb_Coordination.SessionRequest_AcquireSemaphore, req *request) {
	switch i := sem.index(s); {
	case i < 0 && o.GetTimeoutMillis() == 0 && (len(sem.links) > sem.owners || o.GetCount() > sem.limit-sem.held()):
		s.answer(req, errTaken)
	case i < 0:
		s.service.orders++
		sem.links = append(sem.links, &link{
			session: s, request: req, order: s.service.orders, count: o.GetCount(), data: o.GetData(),
		})
		sem.promote()
	case o.GetCount() > sem.links[i].count:
		s.answer(req, &StatusError{Ydb.StatusIds_BAD_REQUEST, "Increasing count is not allowed"})
	case i < sem.owners:
		sem.links[i].count, sem.links[i].data = o.GetCount(), o.GetData()
		s.answer(req, nil)
		sem.changed()
		sem.promote()
	default:
		s.answer(sem.links[i].request, errSuperseded)
		sem.links[i].request, sem.links[i].data, sem.links[i].count = req, o.GetData(), o.GetCount()
		sem.promote()
	}
}

var errSuperseded = &StatusError{Ydb.StatusIds_ABORTED, "Operation superseded by another request"}

// release is the service's part of a release; Q8, Q9, Q11.
func (s *Session) release(name string) {
	sem := s.node.semaphores[name]
	i := sem.index(s)
	if i < 0 {
		return
	}
	owned := i < sem.owners
	if !owned {
		s.answer(sem.links[i].request, errSuperseded)
	}
	sem.links = slices.Delete(sem.links, i, i+1)
	if owned {
		sem.owners--
		sem.changed()
	}
	if len(sem.links) == 0 && !sem.persistent {
		delete(s.node.semaphores, name)
		sem.changed()
	}
	sem.promote()
}
