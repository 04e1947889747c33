package node

import (
	"cmp"
	"slices"
)

// watch is a subscription to one DescribeSemaphoreChanged message (S6).
type watch struct {
	session      *session
	semaphore    *semaphore
	req          uint64
	order        uint64 // an event notifies watches in the order of their registration
	data, owners bool
}

// watches are those of a semaphore, by kind. A watch of both kinds is in both maps. A map without watches is nil.
type watches struct{ data, owners map[*session]*watch }

// watched returns the watches of the semaphore for adding one.
func (s *semaphore) watched() *watches {
	if s.watches == nil {
		s.watches = new(watches)
	}

	return s.watches
}

// event says what changed in a semaphore.
type event struct{ data, owners bool }

// watch registers a watch. It replaces an earlier watch of the session on the same semaphore (S5).
func (n *Node) watch(s *session, sem *semaphore, r Describe, fx *Effects) {
	if old := s.watches[sem]; old != nil {
		old.drop()
		fx.reply(s.stream, Changed{Req: old.req})
	}
	n.watchesEver++
	w := &watch{s, sem, r.Req, n.watchesEver, r.WatchData, r.WatchOwners}
	set(&s.watches, sem, w)
	if w.data {
		set(&sem.watched().data, s, w)
	}
	if w.owners {
		set(&sem.watched().owners, s, w)
	}
}

// fire notifies the watches that match the event and drops them (S6). The flags describe the event: a data watch also
// reports that the owners changed if both changed.
func (n *Node) fire(sem *semaphore, ev event, fx *Effects) {
	if sem.watches == nil {
		return
	}
	var fired []*watch
	if ev.data {
		for _, w := range sem.watches.data {
			fired = append(fired, w)
		}
	}
	if ev.owners {
		for _, w := range sem.watches.owners {
			if !ev.data || !w.data { // otherwise the watch is already in fired
				fired = append(fired, w)
			}
		}
	}
	slices.SortFunc(fired, func(a, b *watch) int { return cmp.Compare(a.order, b.order) })
	for _, w := range fired {
		w.drop()
		fx.reply(w.session.stream, Changed{w.req, ev.data, ev.owners})
	}
}

// unwatch drops all watches of the session without notifying anyone.
func (n *Node) unwatch(s *session) {
	for _, w := range s.watches {
		w.drop()
	}
}

func (w *watch) drop() {
	unset(&w.session.watches, w.semaphore)
	of := w.semaphore.watches
	unset(&of.data, w.session)
	unset(&of.owners, w.session)
	if of.data == nil && of.owners == nil {
		w.semaphore.watches = nil
	}
}

// set and unset never keep an empty map, because most sessions and semaphores have no watches.
func set[K comparable](m *map[K]*watch, k K, w *watch) {
	if *m == nil {
		*m = make(map[K]*watch)
	}
	(*m)[k] = w
}

func unset[K comparable](m *map[K]*watch, k K) {
	if delete(*m, k); len(*m) == 0 {
		*m = nil
	}
}
