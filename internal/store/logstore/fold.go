package logstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"

	"tenure/internal/node"
	"tenure/internal/store"
)

// fold collects the changes of a space, in the order in which they were committed, and finds the latest one of each
// key. It keeps changes encoded, and refers to them by entries without pointers, which the garbage collector does not
// have to look at.
type fold struct {
	parts   [][]byte // encoded changes
	size    int      // of parts
	classes []class  // in no order
	limit   int      // of size, above which the fold drops what was replaced; 0: foldLimit

	rest func(size int) // called during long work, with the bytes moved since the last call; nil: the work does not rest
}

// foldLimit is the size of encoded changes up to which a fold keeps those that were replaced. More than a few segments
// must be merged only if merges have failed for some time.
const foldLimit = 32 << 20

// class has the changes whose keys begin with the same byte. A node's keys consist of such a byte and one or two ids.
// So changes of one class, but not of all together, are often nearly in order, and few bytes of their keys differ.
type class struct {
	first   byte // 0 also for the empty key
	length  int  // of the keys; -1 if it differs
	entries []entry
	recent  []uint32 // 1 + the index of an entry, by the hash of its words; 0: none; nil while there are few entries
}

// entry refers to a change.
type entry struct {
	words [2]uint64 // the bytes of the key after the first one, up to keyWords, and zero bytes after the end of the key
	part  uint32
	place uint32 // twice the offset in the part, plus 1 if the change deletes the key
}

const (
	keyWords  = 17 // bytes of a key that determine its class and its words
	entrySize = 24

	fewEntries = 128 // below which it is not worth while to look for a faster way
	recentBits = 13
)

// apply adds encoded changes. It retains them.
func (f *fold) apply(changes []byte) error {
	part := uint32(len(f.parts))
	f.parts = append(f.parts, changes)
	f.size += len(changes)
	for d := (decoder{rest: changes}); len(d.rest) > 0; {
		at := len(changes) - len(d.rest)
		key, value := d.change()
		if d.err != nil {
			return d.err
		}
		place := uint32(at) << 1
		if value == nil {
			place |= 1
		}
		f.class(key).add(key, part, place)
	}
	if f.size > cmp.Or(f.limit, foldLimit) {
		f.compact()
	}

	return nil
}

// class returns the class of a key.
func (f *fold) class(key []byte) *class {
	first := byte(0)
	if len(key) > 0 {
		first = key[0]
	}
	for i := range f.classes {
		if f.classes[i].first == first {
			return &f.classes[i]
		}
	}
	f.classes = append(f.classes, class{first: first, length: len(key)})

	return &f.classes[len(f.classes)-1]
}

// add adds a change. If the change follows soon after one of the same key, as the deletion of an ephemeral semaphore
// often does, it takes the place of that one. So there are fewer entries, and ids that only grow stay in order.
func (c *class) add(key []byte, part, place uint32) {
	if c.length != len(key) {
		c.length = -1
	}
	if len(key) < keyWords {
		var padded [keyWords]byte
		copy(padded[:], key)
		key = padded[:]
	}
	words := [2]uint64{binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:])}
	n := len(c.entries)
	if n >= fewEntries && c.exact() {
		if c.recent == nil {
			c.recent = make([]uint32, 1<<recentBits)
		}
		recent := &c.recent[hashWords(words)]
		if i := *recent; i > 0 && c.entries[i-1].words == words {
			c.entries[i-1].part, c.entries[i-1].place = part, place

			return
		}
		*recent = uint32(n + 1)
	}
	if n == cap(c.entries) {
		c.entries = slices.Grow(c.entries, max(n, 8)) // append would grow a large slice by a quarter, again and again
	}
	c.entries = append(c.entries, entry{words, part, place})
}

// exact reports whether keys with the same words are equal.
func (c *class) exact() bool { return c.length >= 0 && c.length <= keyWords }

// hashWords returns a number of recentBits bits.
func hashWords(words [2]uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15

	return (words[0]*odd ^ words[1]) * odd >> (64 - recentBits)
}

// read adds the changes of the space in a segment.
func (f *fold) read(ctx context.Context, space store.Space, t tracedFile) error {
	r := frameReader{file: t.file, size: t.size, salt: t.salt}
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

// change decodes the change to which an entry refers.
func (f *fold) change(e entry) node.Record {
	d := decoder{rest: f.parts[e.part][e.place>>1:]}
	key, value := d.change()

	return node.Record{Key: key, Value: value}
}

// compact replaces the changes by copies of those that were not replaced by later ones.
func (f *fold) compact() {
	old := *f
	*f = fold{limit: math.MaxInt, rest: old.rest}
	var b []byte
	for changes := old.latest(); changes.next(); {
		r := changes.record
		size := changeSize(r)
		if len(b)+size > cap(b) {
			f.retain(b)
			b = make([]byte, 0, max(size, windowSize))
		}
		b = appendChange(b, r)
		f.moved(size)
	}
	f.retain(b)
	f.limit = max(cmp.Or(old.limit, foldLimit), 2*f.size)
}

// retain adds changes that appendChange has encoded.
func (f *fold) retain(b []byte) {
	if err := f.apply(b); err != nil {
		panic("logstore: fold: " + err.Error()) // appendChange and change do not fit together
	}
	f.moved(len(b))
}

// moved lets the work rest.
func (f *fold) moved(size int) {
	if f.rest != nil {
		f.rest(size)
	}
}
