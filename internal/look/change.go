package look

import (
	"slices"
	"time"
)

// A Change is what has become of a semaphore that is watched, as one line of output.
type Change struct {
	Time time.Time `json:"time"` // when this process saw it

	Semaphore

	// A watch reports that something has changed, and the state is read after that. More may have happened in between.
	Unseen uint64 `json:"unseen,omitempty"` // at most so many grants between this change and the one before are missing
	Again  bool   `json:"again,omitempty"`  // the state is the same as before: it has changed and changed back

	// No token was seen before, so Unseen also counts the grants from before the watch began. A person does not want to
	// know the number then.
	first bool
}

// A history compares each state of a semaphore with the one before.
type history struct {
	last   *Semaphore // nil: none
	newest uint64     // the highest token that was ever seen
}

// add returns the change that leads to the state, or nil if nothing has changed. Fired reports that a watch has
// reported a change since the state before.
func (h *history) add(s Semaphore, fired bool) *Change {
	c := &Change{Semaphore: s}
	if h.last != nil {
		c.Unseen, c.first = h.unseen(s), h.newest == 0
		switch same := h.last.same(s); {
		case same && !fired && c.Unseen == 0:
			h.keep(s)

			return nil
		case same:
			c.Again = true
		}
	}
	h.keep(s)

	return c
}

func (h *history) keep(s Semaphore) {
	h.last = &s
	for _, o := range slices.Concat(s.Holders, s.Waiters) {
		h.newest = max(h.newest, o.Token)
	}
}

// unseen returns how many grants may have begun and ended between the last state and the next one. Each grant has a
// token, and the tokens of a node grow. So only these can be missing: waiters that are neither holders nor waiters any
// longer, and tokens between the newest one and those of the next state, unless they belong to other semaphores.
func (h *history) unseen(next Semaphore) (n uint64) {
	if h.last.full && next.full && sameHolders(*h.last, next) {
		return 0 // there was no room for another grant
	}
	tokens := map[uint64]bool{}
	for _, o := range slices.Concat(next.Holders, next.Waiters) {
		tokens[o.Token] = true
	}
	for _, w := range h.last.Waiters {
		if !tokens[w.Token] {
			n++ // it has held the semaphore, or has given up
		}
	}
	var newest uint64 // of the holders: tokens above it cannot have been granted, unless the semaphore is shared
	for _, o := range next.Holders {
		newest = max(newest, o.Token)
	}
	if newest > h.newest {
		n += newest - h.newest
		for token := range tokens {
			if token > h.newest && token <= newest {
				n-- // it is not missing
			}
		}
	}

	return n
}

// same reports whether the semaphore has the same holders and the same data.
func (s Semaphore) same(o Semaphore) bool {
	return s.Limit == o.Limit && s.Data == o.Data && sameHolders(s, o) &&
		slices.EqualFunc(s.Holders, o.Holders, func(a, b Holder) bool {
			return a.Count == b.Count && a.Who == b.Who && sameTime(a.Since, b.Since) && sameTime(a.Until, b.Until)
		})
}

func sameHolders(a, b Semaphore) bool {
	return slices.EqualFunc(a.Holders, b.Holders, func(a, b Holder) bool { return a.Token == b.Token })
}

func sameTime(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }
