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

// sorted returns the latest change of each key, in order of the keys. It may change f.
func (f *fold) sorted() []node.Record {
	type change struct {
		node.Record

		number int
	}
	all := make([]change, len(f.changes))
	for i, r := range f.changes {
		all[i] = change{r, i}
	}
	slices.SortFunc(all, func(a, b change) int {
		return cmp.Or(bytes.Compare(a.Key, b.Key), cmp.Compare(a.number, b.number))
	})
	latest := f.changes[:0]
	for i, c := range all {
		if i+1 == len(all) || !bytes.Equal(c.Key, all[i+1].Key) {
			latest = append(latest, c.Record)
		}
	}

	return latest
}
