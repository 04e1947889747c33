package ownership

import (
	"tenure/internal/node"
	"tenure/internal/store"
)

const (
	journalPage = 64    // parts in one read
	recordPage  = 1_000 // records in one read
)

// journal reads the entries of a space above the mark, at one revision. Entries that are not complete are of owners
// that were deposed before they could finish, and are ignored (O2).
type journal struct {
	space    store.Space
	revision int64
	changed  changes
	count    int // of complete entries
	bytes    int

	number  uint64 // of the entry that is being read, in the end of the last one
	parts   int    // that it has so far
	epoch   uint64
	content []byte
	open    bool   // its last part has not been read yet
	next    string // the key to go on with
}

// changes holds the last change of each key that was changed; nil: it was deleted.
type changes map[string][]byte

func (c changes) add(records []node.Record) {
	for _, r := range records {
		c[string(r.Key)] = r.Value
	}
}

// newJournal reads the entries after the mark.
func newJournal(space store.Space, m mark, revision int64) *journal {
	return &journal{
		space: space, revision: revision, changed: make(changes), number: m.number, next: entryPrefix(space, m.number+1),
	}
}

// done reports whether all entries have been read.
func (j *journal) done() bool { return j.next == "" }

func (j *journal) page() Op {
	return Op{
		Kind: Get, Key: j.next, End: prefixEnd(journalPrefix(j.space)), Limit: journalPage, Revision: j.revision,
	}
}

// take takes the result of page.
func (j *journal) take(kvs []KV) error {
	for _, kv := range kvs {
		if err := j.add(kv); err != nil {
			return err
		}
	}
	j.next = ""
	if len(kvs) == journalPage {
		j.next = after(kvs[len(kvs)-1].Key)
	}

	return nil
}

func (j *journal) add(kv KV) error {
	p, err := decodePart(kv)
	if err != nil {
		return err
	}
	switch kv.Key {
	case partKey(j.space, j.number, j.parts):
		if !j.open || p.epoch != j.epoch {
			return damaged("journal entry %q continues one that has ended", kv.Key)
		}
	case partKey(j.space, j.number+1, 0):
		if j.open && p.epoch <= j.epoch {
			return damaged("journal entry %q follows one of the same owner that is not complete", kv.Key)
		}
		j.number, j.parts, j.epoch, j.content = j.number+1, 0, p.epoch, nil
	default:
		return damaged("journal entry %q does not follow part %d of entry %d", kv.Key, j.parts-1, j.number)
	}
	j.parts++
	j.open = !p.last
	j.bytes += len(kv.Value)
	j.content = append(j.content, p.content...)
	if !p.last {
		return nil
	}
	records, ok := decodeChanges(j.content)
	if !ok {
		return damaged("journal entry %q does not have changes", kv.Key)
	}
	j.count++
	j.changed.add(records)

	return nil
}
