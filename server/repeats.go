package server

import (
	"sync"
	"time"

	"tenure/internal/clock"
)

// reportInterval is the time between two reports of the same kind.
const reportInterval = time.Minute

// maxKinds is the number of kinds that are told apart at the same time.
const maxKinds = 1000

// repeats decides which of many events are reported: the first of each kind, and from then on one a minute with the
// number of events. Its methods are safe for concurrent use.
type repeats[K comparable] struct {
	clock clock.Clock
	merge func(K) K // returns one of a few kinds, used while there are more than maxKinds

	mu    sync.Mutex // guards kinds
	kinds map[K]*repeated
}

// repeated are the events of one kind.
type repeated struct {
	reported clock.Instant
	number   uint64 // since then
}

func newRepeats[K comparable](clk clock.Clock, merge func(K) K) *repeats[K] {
	return &repeats[K]{clock: clk, merge: merge, kinds: make(map[K]*repeated)}
}

// due notes an event. It reports whether the event is to be reported, and how many of its kind there were since the
// last report, this one included.
func (r *repeats[K]) due(kind K) (number uint64, due bool) {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.kinds[kind]; !known && len(r.kinds) >= maxKinds {
		for other, k := range r.kinds {
			if now.Sub(k.reported) >= reportInterval {
				delete(r.kinds, other)
			}
		}
		if len(r.kinds) >= maxKinds {
			kind = r.merge(kind)
		}
	}
	k := r.kinds[kind]
	if k == nil {
		r.kinds[kind] = &repeated{reported: now}

		return 1, true
	}
	if k.number++; now.Sub(k.reported) < reportInterval {
		return 0, false
	}
	number = k.number
	*k = repeated{reported: now}

	return number, true
}
