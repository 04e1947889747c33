package node

import (
	"bytes"
	"slices"
)

type semaphore struct {
	id        uint64
	name      string
	limit     uint64
	data      []byte
	ephemeral bool
	queue     queue

	watches *watches // nil: none
}

func (s *semaphore) record() (key, value []byte) {
	var ephemeral uint64
	if s.ephemeral {
		ephemeral = 1
	}
	e := encoder{key: semaphoreKey(s.id)}

	return e.key, e.string(s.name).uint(s.limit).uint(ephemeral).bytes(s.data).done()
}

func (n *Node) newSemaphore(name string, limit uint64, data []byte, ephemeral bool, fx *Effects) *semaphore {
	n.last.semaphore++
	s := &semaphore{id: n.last.semaphore, name: name, limit: limit, data: data, ephemeral: ephemeral}
	n.semaphores[name] = s
	n.data += len(name) + len(data)
	fx.putCounters(n.last)
	fx.put(s.record())

	return s
}

// admissible makes the checks that all requests about a semaphore share: first the name (Q4), then the session (Q2).
func (n *Node) admissible(from From, name string) fault {
	if len(name) > maxNameSize {
		return fault{BadRequest, "Semaphore name is too long"}
	}

	return n.attached(from)
}

func (n *Node) roomForSemaphore(data int) fault {
	if len(n.semaphores) >= n.maxSemaphores {
		n.refusals++

		return fault{PreconditionFailed, "Too many semaphores already exist"}
	}

	return n.room(data)
}

// settle completes a change of a semaphore's queue. It grants the waiters that fit (Q9), removes an ephemeral semaphore
// that has no links left (Q11), and notifies watches. The event describes the change that settle completes.
func (n *Node) settle(s *semaphore, ev event, fx *Effects) {
	for l := n.promote(s); l != nil; l = n.promote(s) {
		n.stopTimer(l)
		l.tell(Success, true, "", fx)
		n.emit(Event{Kind: Granted}, l, fx)
		n.granted(l)
		l.granted, l.loaded = n.date, false
		ev.owners = true
	}
	if s.ephemeral && s.queue.empty() {
		n.forget(s, fx)
		ev = event{data: true, owners: true}
	}
	n.fire(s, ev, fx)
}

// forget removes a semaphore that has no links.
func (n *Node) forget(s *semaphore, fx *Effects) {
	delete(n.semaphores, s.name)
	n.data -= len(s.name) + len(s.data)
	fx.del(semaphoreKey(s.id))
}

// create handles a Create request (S1).
func (n *Node) create(r Create, fx *Effects) {
	f := n.creatable(r)
	if f.status == 0 {
		n.newSemaphore(r.Semaphore, r.Limit, r.Data, false, fx)
	}
	fx.reply(r.Stream, Created{f.result(r.Req)})
}

func (n *Node) creatable(r Create) fault {
	if r.Limit == 0 {
		return fault{BadRequest, "Semaphores must have limit > 0"}
	}
	if f := n.writable(r.From, r.Semaphore, r.Data); f.status != 0 {
		return f
	}
	if s := n.semaphores[r.Semaphore]; s != nil {
		if s.ephemeral {
			return fault{PreconditionFailed, "Cannot create semaphore due to ephemeral locks"}
		}

		return fault{AlreadyExists, "Semaphore already exists"}
	}

	return n.roomForSemaphore(len(r.Semaphore) + len(r.Data))
}

// writable makes the checks of admissible and also checks the size of the data.
func (n *Node) writable(from From, name string, data []byte) fault {
	if len(name) <= maxNameSize && len(data) > maxDataSize {
		return fault{BadRequest, "Semaphore data is too large"}
	}

	return n.admissible(from, name)
}

// update handles an Update request (S2).
func (n *Node) update(r Update, fx *Effects) {
	f := n.writable(r.From, r.Semaphore, r.Data)
	s := n.semaphores[r.Semaphore]
	if f.status == 0 && s == nil {
		f = fault{NotFound, "Semaphore does not exist"}
	}
	if f.status == 0 {
		f = n.roomToReplace(s.data, r.Data)
	}
	fx.reply(r.Stream, Updated{f.result(r.Req)})
	if f.status != 0 || bytes.Equal(s.data, r.Data) {
		return
	}
	n.data += len(r.Data) - len(s.data)
	s.data = r.Data
	fx.put(s.record())
	n.fire(s, event{data: true}, fx)
}

// delete handles a Delete request (S3). The result is sent last (Q12).
func (n *Node) delete(r Delete, fx *Effects) {
	s, f := n.deletable(r)
	if f.status == 0 {
		linked := !s.queue.empty()
		for l := s.queue.first; l != nil; l = s.queue.first {
			if !l.owner {
				l.tell(Aborted, false, "Semaphore destroyed", fx)
			}
			n.unlink(l, ByDelete, fx)
		}
		if linked {
			n.emitPlain(Event{Kind: Destroyed, Session: r.Session, Semaphore: s.name, Limit: s.limit}, fx)
		}
		n.forget(s, fx)
		n.fire(s, event{data: true, owners: true}, fx)
	}
	fx.reply(r.Stream, Deleted{f.result(r.Req)})
}

func (n *Node) deletable(r Delete) (*semaphore, fault) {
	if f := n.admissible(r.From, r.Semaphore); f.status != 0 {
		return nil, f
	}

	s := n.semaphores[r.Semaphore]
	switch {
	case s == nil:
		return nil, fault{NotFound, "Semaphore does not exist"}
	case s.ephemeral:
		return nil, fault{PreconditionFailed, "Cannot delete ephemeral semaphores"}
	case !s.queue.empty() && !r.Force:
		return nil, fault{PreconditionFailed, "Semaphore not empty"}
	}

	return s, fault{}
}

// describe handles a Describe request (S4, S5).
func (n *Node) describe(r Describe, fx *Effects) {
	f := n.admissible(r.From, r.Semaphore)
	s := n.semaphores[r.Semaphore]
	if f.status == 0 && s == nil {
		f = fault{NotFound, "Semaphore not found"}
	}
	fx.described = 0
	if f.status == 0 {
		if size := s.described(r); size <= maxAnswer && size <= n.answerRoom {
			fx.described = size
		} else if f = (fault{Overloaded, "Too many answers in flight"}); size > maxAnswer {
			f = fault{PreconditionFailed, "The description is too large"}
		}
	}
	answer := Described{Result: f.result(r.Req)}
	if f.status == 0 {
		answer.Semaphore = s.description(r.IncludeOwners, r.IncludeWaiters, fx)
		if r.WatchData || r.WatchOwners {
			n.watch(n.sessions[r.Session], s, r, fx)
			answer.WatchAdded = true
		}
	}
	fx.reply(r.Stream, answer)
}

// AnswerRoom sets how large the next descriptions may be, in bytes as estimated by Effects.Described. Larger ones are
// refused as OVERLOADED. A new Node has no such limit.
func (n *Node) AnswerRoom(bytes int) { n.answerRoom = bytes }

// described estimates the size of the description that answers the request, in bytes.
func (s *semaphore) described(r Describe) int {
	const fixed, holder = 64, 64
	size := fixed + len(s.name) + len(s.data)
	if r.IncludeOwners {
		size += s.queue.owners.number*holder + s.queue.owners.bytes
	}
	if r.IncludeWaiters {
		size += s.queue.waiters.number*holder + s.queue.waiters.bytes
	}

	return size
}

func (s *semaphore) description(owners, waiters bool, fx *Effects) *Description {
	d := s.summary()
	if owners {
		d.Owners = s.queue.holders(s.queue.first, s.queue.waiting, fx)
	}
	if waiters {
		d.Waiters = s.queue.holders(s.queue.waiting, nil, fx)
	}

	return &d
}

// minShared is the number of holders from which on descriptions share them. A small list is copied each time, so that
// few semaphores keep one. It is above shortQueue.
const minShared = 64

// holders returns the owners or the waiters: the links from first up to, but not including, end.
func (q *queue) holders(first, end *link, fx *Effects) []Holder {
	if first == end {
		return nil
	}
	var none []Holder
	seen := &none
	switch {
	case q.long == nil:
	case first.owner:
		seen = &q.long.seen.owners
	default:
		seen = &q.long.seen.waiters
	}
	if *seen != nil {
		return *seen
	}
	hs := appendHolders(nil, first, end)
	fx.copied += len(hs)
	if len(hs) >= minShared {
		*seen = slices.Clip(hs)
	}

	return hs
}

// summary returns the description without owners and waiters.
func (s *semaphore) summary() Description {
	return Description{Name: s.name, Data: s.data, Count: s.queue.held, Limit: s.limit, Ephemeral: s.ephemeral}
}

// appendHolders appends the links of a queue from first up to, but not including, end.
func appendHolders(to []Holder, first, end *link) []Holder {
	for l := first; l != end; l = l.behind {
		h := Holder{
			OrderID: l.orderID, Session: l.session.id, Count: l.count, Data: l.data, Joined: l.age.since, Granted: l.granted,
		}
		if !l.owner {
			h.TimeoutMillis = l.timeoutMillis
		}
		to = append(to, h)
	}

	return to
}
