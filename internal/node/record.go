package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Record is what a store keeps: one key, unique within the node, and its value. In [Effects.Changes] a nil Value says
// that the record is to be deleted. Keys and values are immutable once made.
type Record struct {
	Key, Value []byte
}

// There are four kinds of records, told apart by the first byte of the key. Ids in keys are 8 bytes, big endian.
//
//	'c'                         counters: last session id, semaphore id and order id given out
//	'l' session id semaphore id link: order id, count, timeout in ms, data
//	'm' semaphore id            semaphore: name, limit, 1 if ephemeral, data
//	's' session id              session: timeout in ms, description, protection key
//
// A value is its fields, numbers as uvarints and strings behind their length, then 4 bytes of CRC-32C over key and
// fields. A value that does not decode whole, with the shortest encoding of each number, is damaged.
const (
	kindCounters  = 'c'
	kindLink      = 'l'
	kindSemaphore = 'm'
	kindSession   = 's'
)

// ErrDamaged is the error of Load for records that no node can have written.
var ErrDamaged = errors.New("damaged record")

type counters struct {
	session, semaphore, order uint64 // the last given out of each
}

func (c counters) encode() []byte {
	e := encoder{key: countersKey()}

	return e.uint(c.session).uint(c.semaphore).uint(c.order).done()
}

func countersKey() []byte { return []byte{kindCounters} }

func sessionKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 9), kindSession), id)
}

func semaphoreKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 9), kindSemaphore), id)
}

func linkRecordKey(session, semaphore uint64) []byte {
	key := binary.BigEndian.AppendUint64(append(make([]byte, 0, 17), kindLink), session)

	return binary.BigEndian.AppendUint64(key, semaphore)
}

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// encoder builds a value for the key.
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

// Checksum is the CRC-32C over a record's key and the fields of its value. The values of nodes, and of the catalog of
// them, end with it.
func Checksum(key, fields []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, crcTable), crcTable, fields)
}

// decoder reads a value; the first fault stays in err and every later read gives zero.
type decoder struct {
	rest []byte
	err  error
}

// decode checks the sum of the record and returns a decoder of its fields.
func decode(r Record) *decoder {
	n := len(r.Value) - 4
	if n < 0 || binary.LittleEndian.Uint32(r.Value[n:]) != Checksum(r.Key, r.Value[:n]) {
		return &decoder{err: fmt.Errorf("%w %x: checksum mismatch", ErrDamaged, r.Key)}
	}

	return &decoder{rest: r.Value[:n]}
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err, d.rest = fmt.Errorf("%w: %s", ErrDamaged, what), nil
	}
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || n > 1 && d.rest[n-1] == 0 { // a last byte of 0 is not the shortest encoding
		d.fail("bad number")

		return 0
	}
	d.rest = d.rest[n:]

	return v
}

// bytes returns a copy, nil if empty: stores may reuse what they gave to Load.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail("length beyond the end")

		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]

	return append([]byte(nil), b...)
}

func (d *decoder) string() string { return string(d.bytes()) }

// end returns the first fault; bytes that are left over are one.
func (d *decoder) end() error {
	if len(d.rest) > 0 {
		d.fail("bytes left over")
	}

	return d.err
}
