package logs

import (
	"encoding/binary"
	"errors"

	"tenure/internal/node"
	"tenure/internal/store"
)

// handover returns what the owner of a node writes for a hand-over followed by an acquire, the i-th in its space: it
// deletes the link of the old holder and writes that of the new waiter.
func handover(space store.Space, i uint64) store.Batch {
	link := func(i uint64) []byte { return binary.BigEndian.AppendUint64([]byte("l"), i) }

	return store.Batch{Space: space, Changes: []node.Record{
		{Key: link(i)}, {Key: link(i + 1), Value: make([]byte, 40)},
	}}
}

// encode returns the entry for a log that stores entries of bytes: the space, and then keys and values with their
// lengths. The length of a deleted key's value is -1.
func encode(b store.Batch) []byte {
	buf := binary.AppendUvarint(nil, uint64(b.Space))
	for _, r := range b.Changes {
		buf = binary.AppendUvarint(buf, uint64(len(r.Key)))
		buf = append(buf, r.Key...)
		size := int64(len(r.Value))
		if r.Value == nil {
			size = -1
		}
		buf = binary.AppendVarint(buf, size)
		buf = append(buf, r.Value...)
	}

	return buf
}

// records are the live records of all spaces, by space and key.
type records map[store.Space]map[string][]byte

// replay applies an encoded batch.
func (r records) replay(entry []byte) error {
	bad := errors.New("bad entry")
	space, n := binary.Uvarint(entry)
	if n <= 0 {
		return bad
	}
	of := r[store.Space(space)]
	if of == nil {
		of = map[string][]byte{}
		r[store.Space(space)] = of
	}
	for entry = entry[n:]; len(entry) > 0; {
		size, n := binary.Uvarint(entry)
		if n <= 0 || uint64(len(entry)-n) < size {
			return bad
		}
		key := string(entry[n : n+int(size)])
		entry = entry[n+int(size):]
		length, n := binary.Varint(entry)
		if n <= 0 || int64(len(entry)-n) < length {
			return bad
		}
		entry = entry[n:]
		if length < 0 {
			delete(of, key)

			continue
		}
		of[key] = append([]byte{}, entry[:length]...)
		entry = entry[length:]
	}

	return nil
}
