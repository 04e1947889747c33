package node

import (
	"cmp"
	"slices"
)

// watch asks for one DescribeSemaphoreChanged (S6).
type watch struct {
	session      *session
	semaphore    *semaphore
	req          uint64
	order        uint64 // watches of one event are told in the order in which they came
	data, owners bool
}

// event is what happened to a semaphore, as watches are told.
type event struct{ data, owners bool }

// watch adds a watch; it replaces the one that the session has on the semaphore (S5).
func (n *Node) watch(s *session, sem *semaphore, r Describe, fx *Effects) {
	if old := s.watches[sem]; old != nil {
		old.drop()
		fx.reply(s.stream, Changed{Req: old.req})
	}
	n.watchesEver++
	w := &watch{s, sem, r.Req, n.watchesEver, r.WatchData, r.WatchOwners}
	set(&s.watches, sem, w)
	if w.data {
		set(&sem.dataWatches, s, w)
	}
	if w.owners {
		set(&sem.ownerWatches, s, w)
	}
}

// fire tells the watches of the semaphore what happened, once (S6). The flags are those of the event: a data watch
// hears of changed owners too if both changed.
func (n *Node) fire(sem *semaphore, ev event, fx *Effects) {
	var fired []*watch
	if ev.data {
		for _, w := range sem.dataWatches {
			fired = append(fired, w)
		}
	}
	if ev.owners {
		for _, w := range sem.ownerWatches {
			if !ev.data || !w.data { // else it is there already
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

// unwatch drops all watches of the session; nobody is told.
func (n *Node) unwatch(s *session) {
	for _, w := range s.watches {
		w.drop()
	}
}

func (w *watch) drop() {
	unset(&w.session.watches, w.semaphore)
	unset(&w.semaphore.dataWatches, w.session)
	unset(&w.semaphore.ownerWatches, w.session)
}

// set and unset keep no map that is empty: most sessions and semaphores have no watches.
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
