package logstore

import (
	"encoding/binary"
	"errors"

	"tenure/internal/node"
	"tenure/internal/store"
)

// The payload of a frame is a batch: its space, the number of spaces to drop, these spaces, and the changes up to the
// end. All numbers are unsigned varints. A change is the length of the key, doubled, plus 1 if the key is deleted; the
// key; and otherwise the length of the value and the value.

// batchSize returns an upper bound of the size of the encoded batch.
func batchSize(b store.Batch) int {
	size := (2 + len(b.Drop)) * binary.MaxVarintLen64
	for _, r := range b.Changes {
		size += changeSize(r)
	}

	return size
}

// changeSize returns an upper bound of the size of an encoded change.
func changeSize(r node.Record) int { return len(r.Key) + len(r.Value) + 2*binary.MaxVarintLen64 }

func appendBatch(buf []byte, b store.Batch) []byte {
	buf = binary.AppendUvarint(buf, uint64(b.Space))
	buf = binary.AppendUvarint(buf, uint64(len(b.Drop)))
	for _, space := range b.Drop {
		buf = binary.AppendUvarint(buf, uint64(space))
	}
	for _, r := range b.Changes {
		buf = appendChange(buf, r)
	}

	return buf
}

func appendChange(buf []byte, r node.Record) []byte {
	if r.Value == nil {
		buf = binary.AppendUvarint(buf, uint64(len(r.Key))<<1|1)

		return append(buf, r.Key...)
	}
	buf = binary.AppendUvarint(buf, uint64(len(r.Key))<<1)
	buf = append(buf, r.Key...)
	buf = binary.AppendUvarint(buf, uint64(len(r.Value)))

	return append(buf, r.Value...)
}

// errBadBatch reports a payload that cannot be decoded although its checksum is right.
var errBadBatch = errors.New("a commit cannot be decoded")

// decoder reads the parts of a payload, or of a block of a snapshot.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) number() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 {
		n := d.rest[0]
		d.rest = d.rest[1:]

		return uint64(n)
	}

	return d.longNumber()
}

// longNumber reads a number of several bytes.
func (d *decoder) longNumber() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.rest, d.err = nil, errBadBatch

		return 0
	}
	d.rest = d.rest[size:]

	return n
}

func (d *decoder) bytes(size uint64) []byte {
	if size > uint64(len(d.rest)) {
		d.rest, d.err = nil, errBadBatch

		return nil
	}
	b := d.rest[:size:size]
	d.rest = d.rest[size:]

	return b
}

// decodeHead decodes the spaces of a batch. It returns the encoded changes.
func decodeHead(payload []byte) (space store.Space, drop []store.Space, changes []byte, err error) {
	d := decoder{rest: payload}
	space = store.Space(d.number())
	for range d.number() {
		if d.err != nil {
			break
		}
		drop = append(drop, store.Space(d.number()))
	}

	return space, drop, d.rest, d.err
}

// change returns the next change. The slices are parts of what is decoded.
func (d *decoder) change() (key, value []byte) {
	n := d.number()
	key = d.bytes(n >> 1)
	if n&1 == 0 {
		value = d.bytes(d.number())
	}

	return key, value
}
