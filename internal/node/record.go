package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Record is the unit that a store keeps. It consists of a key, which is unique within the node, and a value. In
// [Effects.Changes], a nil Value deletes the record. Keys and values are immutable.
type Record struct {
	Key, Value []byte
}

// There are four kinds of records, distinguished by the first byte of the key. Ids in keys are 8 bytes, big endian.
//
//	'c'                         counters: the last session id, semaphore id and order id that were assigned
//	'l' session id semaphore id link: order id, count, timeout in ms, data, and the date at which the link
//	                            joined the queue, in ms since 1970; it is left out if unknown, as in old stores
//	'm' semaphore id            semaphore: name, limit, 1 if ephemeral, data
//	's' session id              session: timeout in ms, description, protection key
//
// A value consists of its fields and a CRC-32C of the key and the fields, 4 bytes, little endian. Numbers are uvarints.
// A string or data field is preceded by its length. A value is damaged if it does not decode completely, or if a number
// is not in its shortest encoding.
const (
	kindCounters  = 'c'
	kindLink      = 'l'
	kindSemaphore = 'm'
	kindSession   = 's'
)

// ErrDamaged is the error that Load wraps if no node can have written the records.
var ErrDamaged = errors.New("damaged record")

type counters struct {
	session, semaphore, order uint64 // the last id of each kind that was assigned
}

func (c counters) encode() []byte {
	e := encoder{key: countersKey()}

	return e.uint(c.session).uint(c.semaphore).uint(c.order).done()
}

func countersKey() []byte { return []byte{kindCounters} }

func sessionKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 9), kindSession), id)
}

// DeletedSession returns the id of the session that a change deletes. It returns false for other changes.
func DeletedSession(r Record) (id uint64, ok bool) {
	if r.Value != nil || len(r.Key) != 9 || r.Key[0] != kindSession {
		return 0, false
	}

	return binary.BigEndian.Uint64(r.Key[1:]), true
}

func semaphoreKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 9), kindSemaphore), id)
}

func linkRecordKey(session, semaphore uint64) []byte {
	key := binary.BigEndian.AppendUint64(append(make([]byte, 0, 17), kindLink), session)

	return binary.BigEndian.AppendUint64(key, semaphore)
}

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// encoder builds the value of the record with the given key.
type encoder struct {
	key, value []byte
}

func (e *encoder) uint(v uint64) *encoder {
	e.value = binary.AppendUvarint(e.value, v)

	return e
}

func (e *encoder) bytes(b []byte) *encoder {
	e.value = append(binary.AppendUvarint(e.value, uint64(len(b))), b...)

	return e
}

func (e *encoder) string(s string) *encoder {
	e.value = append(binary.AppendUvarint(e.value, uint64(len(s))), s...)

	return e
}

func (e *encoder) done() []byte {
	return binary.LittleEndian.AppendUint32(e.value, Checksum(e.key, e.value))
}

// Checksum returns the CRC-32C of a record's key and the fields of its value. The values of node records and of catalog
// records end with it.
func Checksum(key, fields []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, crcTable), crcTable, fields)
}

// decoder reads the fields of a value. It keeps the first error in err, and every later read returns a zero value.
type decoder struct {
	rest []byte
	err  error
}

// decode verifies the checksum of the record and returns a decoder for its fields.
func decode(r Record) decoder {
	n := len(r.Value) - 4
	if n < 0 || binary.LittleEndian.Uint32(r.Value[n:]) != Checksum(r.Key, r.Value[:n]) {
		return decoder{err: fmt.Errorf("%w %x: checksum mismatch", ErrDamaged, r.Key)}
	}

	return decoder{rest: r.Value[:n]}
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err, d.rest = fmt.Errorf("%w: %s", ErrDamaged, what), nil
	}
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || n > 1 && d.rest[n-1] == 0 { // an encoding that ends in a zero byte is not the shortest
		d.fail("malformed number")

		return 0
	}
	d.rest = d.rest[n:]

	return v
}

// field returns a part of the value.
func (d *decoder) field() []byte {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail("length exceeds the value")

		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]

	return b
}

// bytes returns a copy, or nil if the field is empty. It copies because stores may reuse the slices that they yield.
func (d *decoder) bytes() []byte { return append([]byte(nil), d.field()...) }

func (d *decoder) string() string { return string(d.field()) }

// end returns the first error. It is an error if bytes are left over.
func (d *decoder) end() error {
	if len(d.rest) > 0 {
		d.fail("unexpected bytes at the end")
	}

	return d.err
}
