package ownership

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"tenure/internal/node"
	"tenure/internal/store"
)

// A part of a journal entry is
//
//	format  1 byte, 1
//	flags   1 byte: 1 if it is the last part of the entry
//	epoch   uvarint, of the owner that wrote it
//	content
//	sum     CRC-32C of all that and the part's key, 4 bytes, little endian
//
// The contents of all parts of an entry are its changes. Each change is the length of the key (uvarint), the key, and
// either 0 (a deletion) or 1 + the length of the value (uvarint) and the value.
const (
	partFormat = 1
	lastPart   = 1
	partFrame  = 2 + binary.MaxVarintLen64 + 4 // the most that a part adds to its content
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", store.ErrDamaged, fmt.Sprintf(format, args...))
}

func encodeChanges(changes []node.Record) []byte {
	size := 0
	for _, r := range changes {
		size += len(r.Key) + len(r.Value) + 2*binary.MaxVarintLen32
	}
	b := make([]byte, 0, size)
	for _, r := range changes {
		b = binary.AppendUvarint(b, uint64(len(r.Key)))
		b = append(b, r.Key...)
		if r.Value == nil {
			b = append(b, 0)

			continue
		}
		b = binary.AppendUvarint(b, 1+uint64(len(r.Value)))
		b = append(b, r.Value...)
	}

	return b
}

// decodeChanges returns changes that share the memory of b. The value of a deletion is nil, an empty one is not.
func decodeChanges(b []byte) ([]node.Record, bool) {
	var changes []node.Record
	for len(b) > 0 {
		var r node.Record
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, false
		}
		r.Key, b = b[n:n+int(size):n+int(size)], b[n+int(size):]
		size, n = binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n)+1 {
			return nil, false
		}
		b = b[n:]
		if size > 0 {
			r.Value, b = b[:size-1:size-1], b[size-1:]
		}
		changes = append(changes, r)
	}

	return changes, true
}

func encodePart(key string, epoch uint64, content []byte, last bool) []byte {
	b := make([]byte, 0, len(content)+partFrame)
	b = append(b, partFormat, 0)
	if last {
		b[1] = lastPart
	}
	b = binary.AppendUvarint(b, epoch)
	b = append(b, content...)

	return binary.LittleEndian.AppendUint32(b, partSum(key, b))
}

func partSum(key string, b []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), crcTable), crcTable, b)
}

type part struct {
	epoch   uint64
	content []byte
	last    bool
}

func decodePart(kv KV) (part, error) {
	b := kv.Value
	if len(b) < 2+1+4 {
		return part{}, damaged("journal entry %q is too short", kv.Key)
	}
	if b[0] != partFormat {
		return part{}, fmt.Errorf("%w: journal entry %q has the format %d", store.ErrNewer, kv.Key, b[0])
	}
	b, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	epoch, n := binary.Uvarint(b[2:])
	if n <= 0 || b[1] > lastPart || sum != partSum(kv.Key, b) {
		return part{}, damaged("journal entry %q differs from what was written", kv.Key)
	}

	return part{epoch: epoch, content: b[2+n:], last: b[1] == lastPart}, nil
}

// mark is the value of a mark. Each step of a fold writes one that differs from all others.
type mark struct {
	number uint64 // of the last entry whose changes are all in the records
	epoch  uint64
	step   uint64 // counts the steps of this owner
}

func (m mark) encode() []byte {
	b := binary.AppendUvarint([]byte{partFormat}, m.number)
	b = binary.AppendUvarint(b, m.epoch)

	return binary.AppendUvarint(b, m.step)
}

func decodeMark(kvs []KV) (m mark, err error) {
	kv, ok := only(kvs)
	if !ok {
		return mark{}, nil
	}
	if len(kv.Value) > 0 && kv.Value[0] != partFormat {
		return mark{}, fmt.Errorf("%w: mark %q has the format %d", store.ErrNewer, kv.Key, kv.Value[0])
	}
	b := kv.Value[min(1, len(kv.Value)):]
	for _, field := range []*uint64{&m.number, &m.epoch, &m.step} {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return mark{}, damaged("mark %q differs from what was written", kv.Key)
		}
		*field, b = v, b[n:]
	}

	return m, nil
}
