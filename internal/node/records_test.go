package node_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"slices"

	"tenure/internal/node"
)

// state holds the records of a node, decoded by a second reader of the format that shares no code with the node.
type state struct {
	counters   countersRecord
	sessions   []sessionRecord
	semaphores []semaphoreRecord
	links      []linkRecord
}

type countersRecord struct{ session, semaphore, order uint64 }

type sessionRecord struct {
	id, timeout      uint64
	description, key string
}

type semaphoreRecord struct {
	id        uint64
	name      string
	limit     uint64
	ephemeral bool
	data      string
}

type linkRecord struct {
	session, semaphore    uint64
	order, count, timeout uint64
	data                  string
	since                 uint64
}

func (s *state) sort() {
	slices.SortFunc(s.sessions, func(a, b sessionRecord) int { return cmp.Compare(a.id, b.id) })
	slices.SortFunc(s.semaphores, func(a, b semaphoreRecord) int { return cmp.Compare(a.id, b.id) })
	slices.SortFunc(s.links, func(a, b linkRecord) int { return cmp.Compare(a.order, b.order) })
}

// read adds a record to the state. It returns the decoded record, which has one of the four types above.
func (s *state) read(r node.Record) (record any, err error) {
	f, err := newFields(r)
	if err != nil {
		return nil, err
	}
	switch k := string(r.Key[1:]); r.Key[0] {
	case 'c':
		s.counters = countersRecord{f.uint(), f.uint(), f.uint()}
		record = s.counters
	case 'l':
		l := linkRecord{
			session: keyID(k[:8]), semaphore: keyID(k[8:]),
			order: f.uint(), count: f.uint(), timeout: f.uint(), data: f.string(),
		}
		if len(f.rest) > 0 {
			l.since = f.uint()
			f.bad = f.bad || l.since == 0
		}
		s.links = append(s.links, l)
		record = l
	case 'm':
		m := semaphoreRecord{id: keyID(k), name: f.string(), limit: f.uint(), ephemeral: f.uint() == 1, data: f.string()}
		s.semaphores = append(s.semaphores, m)
		record = m
	case 's':
		se := sessionRecord{id: keyID(k), timeout: f.uint(), description: f.string(), key: f.string()}
		s.sessions = append(s.sessions, se)
		record = se
	default:
		return nil, fmt.Errorf("record %x: unknown kind", r.Key)
	}
	if len(f.rest) > 0 || f.bad {
		return nil, fmt.Errorf("record %x: value %x does not match the fields of its kind", r.Key, r.Value)
	}

	return record, nil
}

func keyID(k string) uint64 { return binary.BigEndian.Uint64([]byte(k)) }

// fields reads the fields of a record's value.
type fields struct {
	rest []byte
	bad  bool
}

func newFields(r node.Record) (*fields, error) {
	n := len(r.Value) - 4
	if n < 0 || !slices.Equal(r.Value[n:], checksum(r.Key, r.Value[:n])) {
		return nil, fmt.Errorf("record %x: value %x has a wrong checksum", r.Key, r.Value)
	}

	return &fields{rest: r.Value[:n]}, nil
}

func checksum(key, value []byte) []byte {
	sum := crc32.Checksum(slices.Concat(key, value), crc32.MakeTable(crc32.Castagnoli))

	return binary.LittleEndian.AppendUint32(nil, sum)
}

func (f *fields) uint() uint64 {
	v, n := binary.Uvarint(f.rest)
	if n <= 0 {
		f.bad = true

		return 0
	}
	f.rest = f.rest[n:]

	return v
}

func (f *fields) string() string {
	n := f.uint()
	if f.bad || n > uint64(len(f.rest)) {
		f.bad = true

		return ""
	}
	s := string(f.rest[:n])
	f.rest = f.rest[n:]

	return s
}

// records holds the values of a node's records by key, as a store does.
type records map[string][]byte

func (rs records) commit(changes []node.Record) {
	for _, c := range changes {
		if c.Value == nil {
			delete(rs, string(c.Key))
		} else {
			rs[string(c.Key)] = c.Value
		}
	}
}

// all yields the records as a store does: in byte order of the keys, in slices that it reuses.
func (rs records) all() iter.Seq2[node.Record, error] { return rs.in(slices.Sorted(maps.Keys(rs))) }

// backwards yields the records in descending order of the keys, since Load accepts any order.
func (rs records) backwards() iter.Seq2[node.Record, error] {
	keys := slices.Sorted(maps.Keys(rs))
	slices.Reverse(keys)

	return rs.in(keys)
}

func (rs records) in(order []string) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		var r node.Record
		for _, key := range order {
			r.Key = append(r.Key[:0], key...)
			r.Value = append(r.Value[:0], rs[key]...)
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (rs records) state() (state, error) {
	var s state
	for r, err := range rs.all() {
		if err != nil {
			return state{}, err
		}
		if _, err := s.read(r); err != nil {
			return state{}, err
		}
	}
	s.sort()

	return s, nil
}
