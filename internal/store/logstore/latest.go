package logstore

import (
	"bytes"
	"encoding/binary"
	"slices"

	"tenure/internal/node"
)

// latest iterates over the latest change of each key in a fold, in order of the keys. The zero value has no changes.
type latest struct {
	record node.Record // valid after next has returned true, until the next call; a nil value deletes the key

	fold    *fold
	classes []class        // those that are left, with only the latest changes
	key     [keyWords]byte // of a deletion
}

// latest sorts the changes and returns them. The fold must not be used afterwards.
func (f *fold) latest() *latest {
	slices.SortFunc(f.classes, func(a, b class) int { return int(a.first) - int(b.first) })
	for i := range f.classes {
		f.keepLatest(&f.classes[i])
	}

	return &latest{fold: f, classes: f.classes}
}

// next moves to the next change. It returns false if there is none.
func (l *latest) next() bool {
	for len(l.classes) > 0 {
		c := &l.classes[0]
		if len(c.entries) == 0 {
			l.classes = l.classes[1:]

			continue
		}
		e := c.entries[0]
		c.entries = c.entries[1:]
		if e.place&1 > 0 && c.exact() { // the change may be no longer in the processor's cache
			l.key[0] = c.first
			binary.BigEndian.PutUint64(l.key[1:], e.words[0])
			binary.BigEndian.PutUint64(l.key[9:], e.words[1])
			l.record = node.Record{Key: l.key[:c.length]}
		} else {
			l.record = l.fold.change(e)
		}

		return true
	}

	return false
}

// keepLatest sorts the entries of a class, and keeps only the latest one of each key.
func (f *fold) keepLatest(c *class) {
	c.entries = sortEntries(c.entries, f.moved)
	all := c.entries
	kept := all[:0]
	for begin, end := 0, 1; begin < len(all); begin, end = end, end+1 {
		for end < len(all) && all[end].words == all[begin].words {
			end++
		}
		f.moved((end - begin) * entrySize)
		if end == begin+1 || c.exact() {
			kept = append(kept, all[end-1])

			continue
		}
		same := all[begin:end]
		slices.SortStableFunc(same, func(a, b entry) int { return bytes.Compare(f.change(a).Key, f.change(b).Key) })
		for i, e := range same {
			if i+1 == len(same) || !bytes.Equal(f.change(e).Key, f.change(same[i+1]).Key) {
				kept = append(kept, e)
			}
		}
	}
	c.entries = kept
}
