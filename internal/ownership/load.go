package ownership

import (
	"maps"
	"slices"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Loading reads all records of a space at one revision. Call Next and carry out the transaction, then Take, until Next
// returns false.
type Loading struct {
	space    store.Space
	revision int64
	journal  *journal // nil: not begun
	keys     []string // those that the journal has changed and that have not been returned, in order
	next     string   // the key to go on with
	done     bool
}

// NewLoading returns a Loading of the space at the revision, or, if it is 0, at the time of the first transaction. A
// dropped space is empty.
func NewLoading(space store.Space, revision int64) *Loading {
	return &Loading{space: space, revision: revision, next: recordPrefix(space)}
}

// Next returns the next transaction, which reads.
func (l *Loading) Next() (Txn, bool) {
	switch {
	case l.done:
		return Txn{}, false
	case l.journal == nil:
		own, m := get(OwnerKey(l.space)), get(markKey(l.space))
		own.Revision, m.Revision = l.revision, l.revision

		return Txn{Then: []Op{own, m}}, true
	case !l.journal.done():
		return Txn{Then: []Op{l.journal.page()}}, true
	default:
		return Txn{Then: []Op{{
			Kind: Get, Key: l.next, End: prefixEnd(recordPrefix(l.space)), Limit: recordPage, Revision: l.revision,
		}}}, true
	}
}

// Take takes the result of the transaction. It returns further records, in byte order of their keys.
func (l *Loading) Take(r Result) ([]node.Record, error) {
	switch {
	case l.journal == nil:
		return nil, l.begin(r)
	case !l.journal.done():
		if err := l.journal.take(r.Gets[0]); err != nil {
			return nil, err
		}
		if l.journal.done() {
			l.keys = slices.Sorted(maps.Keys(l.journal.changed))
		}

		return nil, nil
	default:
		return l.merge(r.Gets[0]), nil
	}
}

func (l *Loading) begin(r Result) error {
	if l.revision == 0 {
		l.revision = r.Revision
	}
	if own, ok := only(r.Gets[0]); ok {
		o, err := DecodeOwner(own)
		if err != nil {
			return err
		}
		l.done = o.Dropped // what is left of it will be deleted
	}
	m, err := decodeMark(r.Gets[1])
	l.journal = newJournal(l.space, m, l.revision)

	return err
}

// merge returns the records of a page, with the changes of the journal to keys up to the last one of the page.
func (l *Loading) merge(page []KV) []node.Record {
	l.done = len(page) < recordPage
	prefix := len(recordPrefix(l.space))
	var records []node.Record
	for _, kv := range page {
		key := kv.Key[prefix:]
		records = l.changedUntil(records, func(k string) bool { return k < key })
		if len(l.keys) > 0 && l.keys[0] == key {
			records = l.changedUntil(records, func(k string) bool { return k == key })

			continue
		}
		records = append(records, node.Record{Key: []byte(key), Value: notNil(kv.Value)})
	}
	if n := len(page); n > 0 {
		l.next = after(page[n-1].Key)
	}
	if l.done {
		records = l.changedUntil(records, func(string) bool { return true })
	}

	return records
}

// changedUntil appends the records that the journal has set, as long as the predicate is true of their keys.
func (l *Loading) changedUntil(records []node.Record, in func(key string) bool) []node.Record {
	for len(l.keys) > 0 && in(l.keys[0]) {
		if value := l.journal.changed[l.keys[0]]; value != nil {
			records = append(records, node.Record{Key: []byte(l.keys[0]), Value: value})
		}
		l.keys = l.keys[1:]
	}

	return records
}

// notNil returns an empty value that is not nil, as the records of a store have.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}

	return b
}
