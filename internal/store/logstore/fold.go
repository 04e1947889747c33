package logstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"tenure/internal/node"
	"tenure/internal/store"
)

// fold has the changes of a space, in the order in which the first change of each key was committed. As long as many of
// them replace others, it has only the latest one of each key.
type fold struct {
	changes []node.Record
	places  map[string]int // of keys in changes; nil: none yet, or see every
	applied int
	every   bool // it has every change since the one that set this
}

// maxPlaces is the number of keys above which a fold has a map of them only if that halves the changes. To collect many
// different keys in a map takes longer than to sort them.
const maxPlaces = 8_192

// apply adds encoded changes. It retains them.
func (f *fold) apply(changes []byte) error { return decodeChanges(changes, f.add) }

func (f *fold) add(r node.Record) {
	f.applied++
	if !f.every {
		if at, ok := f.places[string(r.Key)]; ok {
			f.changes[at] = r

			return
		}
		if n := len(f.changes); n >= maxPlaces && f.applied < 2*n {
			f.every, f.places = true, nil
		} else {
			if f.places == nil {
				f.places = make(map[string]int)
			}
			f.places[string(r.Key)] = n
		}
	}
	if n := len(f.changes); n == cap(f.changes) {
		f.changes = slices.Grow(f.changes, max(n, 8)) // append would grow a large slice by a quarter, again and again
	}
	f.changes = append(f.changes, r)
}

// read adds the changes of the space in a segment.
func (f *fold) read(ctx context.Context, space store.Space, t tracedFile) error {
	r := frameReader{file: t.file, size: t.size}
	for _, at := range t.at {
		if err := ctx.Err(); err != nil {
			return err
		}
		frame, _, ok, err := r.frame(int64(at) * frameAlign)
		if err != nil {
			return err
		}
		if !ok {
			return errBroken
		}
		of, _, changes, err := decodeHead(frame.payload)
		if err == nil && of != space {
			err = errBroken
		}
		if err = cmp.Or(err, f.apply(changes)); err != nil {
			return err
		}
	}

	return nil
}

// sorted returns the latest change of each key, in order of the keys. Changes of one kind, which the first byte of the
// key tells, are often in order already, but the kinds alternate. So sorted separates the kinds first.
func (f *fold) sorted() []node.Record {
	kinds, all := f.byKind()
	latest := all[:0]
	for _, kind := range kinds {
		sortChanges(kind)
		for i, r := range kind {
			if i+1 == len(kind) || !bytes.Equal(r.Key, kind[i+1].Key) {
				latest = append(latest, r)
			}
		}
	}

	return latest
}

// byKind returns the changes by the first byte of the key. Those with the same first byte stay in order. The kinds are
// adjacent parts of all.
func (f *fold) byKind() (kinds [256][]node.Record, all []node.Record) {
	kindOf := func(r node.Record) byte {
		if len(r.Key) == 0 {
			return 0
		}

		return r.Key[0]
	}
	var sizes [len(kinds)]int
	for _, r := range f.changes {
		sizes[kindOf(r)]++
	}
	all = make([]node.Record, len(f.changes))
	begin := 0
	for kind, size := range sizes {
		kinds[kind] = all[begin:begin]
		begin += size
	}
	for _, r := range f.changes {
		kinds[kindOf(r)] = append(kinds[kindOf(r)], r)
	}

	return kinds, all
}

// sortChanges sorts changes by key. Those of the same key stay in order.
func sortChanges(changes []node.Record) {
	if slices.IsSortedFunc(changes, func(a, b node.Record) int { return bytes.Compare(a.Key, b.Key) }) {
		return
	}
	type change struct {
		node.Record

		number int
	}
	all := make([]change, len(changes))
	for i, r := range changes {
		all[i] = change{r, i}
	}
	slices.SortFunc(all, func(a, b change) int {
		return cmp.Or(bytes.Compare(a.Key, b.Key), cmp.Compare(a.number, b.number))
	})
	for i, c := range all {
		changes[i] = c.Record
	}
}
