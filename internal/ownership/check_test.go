package ownership_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// truth is what a space contains, as it follows from the batches that etcd has accepted.
type truth struct {
	records map[string]string
	last    uint64 // the last token that is durable
	acked   uint64 // the last one that a client has seen
	granted map[uint64]int
	ended   map[int64]int64 // when each fence was superseded
	dropped bool
	latest  int              // the id of the latest request that was answered
	waiting map[int]*request // requests of the end that have not been answered
}

func newTruth() *truth {
	return &truth{
		records: make(map[string]string), granted: make(map[uint64]int), ended: make(map[int64]int64),
		waiting: make(map[int]*request),
	}
}

// changed checks a transaction that etcd has carried out and that has changed something:
//
//	V1 Only the server that the owner's key names changes what belongs to a space, and only under its latest claim.
//	V2 What a server would load from etcd follows from the batches that were accepted, each of them once, in order.
//	V3 Nothing changes in a space that has been dropped.
func (w *world) changed(h *host, b *batch, t ownership.Txn, r ownership.Result, before [lastSpace + 1]ownership.KV) {
	for space, own := range w.owners() {
		if fence := before[space].Mod; own.Mod != fence {
			w.truth[store.Space(space)].ended[fence] = w.counter
			w.hit.Deposed++
		}
	}
	ops := t.Then
	if !r.Succeeded {
		ops = t.Else
	}
	if h == nil || len(ops) == 0 || !touches(ops) {
		return
	}
	own := before[h.space]
	o, err := ownership.DecodeOwner(own)
	if err != nil || o.Server != h.server.id || own.Mod != h.core.Fence() {
		w.fail("V1: %s writes to space %d under fence %d, but its owner is %+v since %d", h.server.id, h.space,
			h.core.Fence(), o, own.Mod)
	}
	if w.truth[h.space].dropped {
		w.fail("V3: %s writes to space %d, which was dropped", h.server.id, h.space)
	}
	if ops[0].Kind == ownership.Put && strings.HasPrefix(ops[0].Key, "j/") {
		w.partWritten(b, ops[0].Value[1] == 1)
	} else {
		w.hit.Folds++
	}
	w.compare(h.space)
}

// touches reports whether the operations change what belongs to a space.
func touches(ops []ownership.Op) bool {
	return slices.ContainsFunc(ops, func(op ownership.Op) bool {
		return op.Kind != ownership.Get && slices.Contains([]string{"j/", "r/", "f/"}, op.Key[:2])
	})
}

// deposed returns when the owner's key changed after the claim, or 0 if it has not.
func (h *host) deposed() int64 { return h.server.w.truth[h.space].ended[h.core.Fence()] }

// partWritten notes that etcd has accepted a part of a batch. A batch must not have an effect again.
func (w *world) partWritten(b *batch, last bool) {
	switch {
	case !last:
		w.hit.Parts++

		return
	case b.applied:
		w.hit.Repeated++

		return
	case b.denied:
		w.fail("V2: a batch of %s was applied, although its clients were told that it was not", b.host.server.id)
	}
	b.applied = true
	t := w.truth[b.host.space]
	for _, r := range b.changes {
		if r.Value == nil {
			delete(t.records, string(r.Key))
		} else {
			t.records[string(r.Key)] = string(r.Value)
		}
	}
	t.last = decodeToken(t.records["last"])
	for _, space := range b.drop {
		w.hit.Drop++
		w.truth[space].dropped = true
	}
}

// compare checks V2.
func (w *world) compare(space store.Space) {
	have := make(map[string]string)
	l := ownership.NewLoading(space, 0)
	for t, more := l.Next(); more; t, more = l.Next() {
		r, err := w.etcd.apply(t, 0)
		if err != nil {
			w.fail("load: %v", err)
		}
		records, err := l.Take(r)
		if err != nil {
			w.fail("V2: load space %d: %v", space, err)
		}
		for i, r := range records {
			if i > 0 && string(records[i-1].Key) >= string(r.Key) {
				w.fail("V2: the records of space %d are not in order", space)
			}
			have[string(r.Key)] = string(r.Value)
		}
	}
	if want := w.truth[space].records; !maps.Equal(have, want) {
		w.fail("V2: space %d has %s instead of %s", space, brief(have), brief(want))
	}
}

func brief(m map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, " %s(%d)", key, len(m[key]))
	}

	return fmt.Sprintf("last=%d%s", decodeToken(m["last"]), b.String())
}

// claimed checks that no two hosts have the same claim.
//
//	V4 At most one host can commit to a space: no two have the fence that the owner's key has.
func (w *world) claimed(h *host) {
	w.log("%s: space %d: claimed, epoch %d", h.server.id, h.space, h.core.Epoch())
	for _, other := range w.hosts {
		if other != h && other.space == h.space && other.core.Fence() == h.core.Fence() {
			w.fail("V4: %s and %s have the same claim to space %d", h.server.id, other.server.id, h.space)
		}
	}
	if h.deposed() != 0 {
		w.hit.Stale++
	}
	if n := len(w.etcd.journal(h.space)); n > 0 && w.etcd.journal(h.space)[n-1].Value[1] == 0 {
		w.hit.Torn++
	}
}

// answered checks the answers to a batch:
//
//	V5 No request is answered that was sent after the host was deposed, or after the space was dropped.
//	V6 A batch that is answered is durable.
//	V7 Tokens only grow: a grant returns a higher token than all that were seen before its request was sent, and a read
//	   returns at least the last one that was durable then. No token is granted twice.
func (w *world) answered(b *batch) {
	h := b.host
	t := w.truth[h.space]
	for _, r := range b.requests {
		if at := h.deposed(); at != 0 && r.sent > at {
			w.fail("V5: %s answers a request to space %d that was sent after it was deposed", h.server.id, h.space)
		}
		if r.dropped {
			w.fail("V5: %s answers a request to space %d, which was dropped before", h.server.id, h.space)
		}
		if b.ticket == 0 && len(b.changes)+len(b.drop) > 0 && !b.applied {
			w.fail("V6: %s answers a batch for space %d that etcd does not have", h.server.id, h.space)
		}
		token := b.tokens[r.id]
		switch r.kind {
		case grant:
			if other, ok := t.granted[token]; ok || token <= r.acked {
				w.fail("V7: %s grants the token %d of space %d: %d was seen, or request %d has it", h.server.id, token,
					h.space, r.acked, other)
			}
			t.granted[token] = r.id
		case read:
			if token < r.durable || token < r.acked || token > t.last {
				w.fail("V7: %s reads token %d of space %d, between %d and %d", h.server.id, token, h.space, r.durable, t.last)
			}
		case forget, dropSpace:
		}
		t.acked = max(t.acked, token)
		t.latest = max(t.latest, r.id)
		delete(t.waiting, r.id)
	}
	if b.ticket != 0 {
		w.compareMemory(h)
	}
}

// compareMemory checks that a host which was not deposed has in memory what is durable.
func (w *world) compareMemory(h *host) {
	if h.deposed() == 0 && !maps.Equal(h.records, w.truth[h.space].records) {
		w.fail("V2: %s has %s of space %d in memory instead of %s", h.server.id, brief(h.records), h.space,
			brief(w.truth[h.space].records))
	}
}

// settled checks that one of the requests from first on has been answered in each space, because one of the servers
// owns it or claims it.
//
//	V8 A space that was not dropped is served some time after the last fault.
//	V9 It is served for the clients of every server.
func (w *world) settled(first int) {
	for space := range lastSpace + 1 {
		if t := w.truth[space]; !t.dropped && t.latest < first {
			w.fail("V8: space %d is not served: request %d of %d was the last that was answered", space, t.latest, w.asked)
		}
		for _, r := range w.truth[space].waiting {
			if t := w.truth[space]; !t.dropped {
				w.fail("V9: space %d is not served for the clients of %s: request %d", space, r.front.id, r.id)
			}
		}
	}
}
