package catalog

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strings"

	"tenure/internal/node"
	"tenure/internal/store"
)

// There are two kinds of records, distinguished by the first byte of the key.
//
//	'c'       counter: the last space that was assigned, 8 bytes
//	'r'       restore: what a restore from a backup has left, see storedRestore
//	'e' path  entry: the path is relative to the database, without a slash at either end; fields as in storedItem
//
// A value consists of its fields, big endian and of fixed size, and a CRC-32C of the key and the fields, 4 bytes.
const (
	keyCounter = "c"
	keyEntry   = 'e'
	keyRestore = "r"
)

// storedItem is the layout of the value of an entry. For a directory, all fields except Kind are zero.
type storedItem struct {
	Kind              Kind
	Space             store.Space
	SelfCheck         uint32
	Grace             uint32
	ReadConsistency   Consistency
	AttachConsistency Consistency
	Counters          Counters
}

func itemKey(rel string) []byte { return append([]byte{keyEntry}, rel...) }

func encodeItem(rel string, i item) node.Record {
	return encode(itemKey(rel), storedItem{
		Kind:              i.kind,
		Space:             i.space,
		SelfCheck:         i.config.SelfCheckPeriodMillis,
		Grace:             i.config.SessionGracePeriodMillis,
		ReadConsistency:   i.config.ReadConsistency,
		AttachConsistency: i.config.AttachConsistency,
		Counters:          i.config.RateLimiterCounters,
	})
}

func encodeLast(last store.Space) node.Record { return encode([]byte(keyCounter), last) }

// encode returns the record with the given key and fields. The fields must have a fixed size.
func encode(key []byte, fields any) node.Record {
	value, err := binary.Append(nil, binary.BigEndian, fields)
	if err != nil {
		panic(fmt.Sprintf("catalog: encode %T: %v", fields, err)) // fields does not have a fixed size
	}

	return node.Record{Key: key, Value: binary.BigEndian.AppendUint32(value, node.Checksum(key, value))}
}

// decode reads the fields of a record that encode returned.
func decode(r node.Record, fields any) error {
	n := len(r.Value) - 4
	if n < 0 || binary.BigEndian.Uint32(r.Value[n:]) != node.Checksum(r.Key, r.Value[:n]) {
		return fmt.Errorf("%w: record %.300q: checksum mismatch", store.ErrDamaged, r.Key)
	}
	if n != binary.Size(fields) {
		return fmt.Errorf("%w: record %.300q: wrong length of %d bytes", store.ErrDamaged, r.Key, len(r.Value))
	}
	_, err := binary.Decode(r.Value[:n], binary.BigEndian, fields)

	return err
}

// load fills the tree. The store yields records in the order of their keys, so a directory precedes its entries.
func (c *Catalog) load(records iter.Seq2[node.Record, error]) error {
	spaces := make(map[store.Space]string)
	for r, err := range records {
		if err != nil {
			return err
		}
		switch {
		case string(r.Key) == keyCounter:
			err = decode(r, &c.last)
		case string(r.Key) == keyRestore:
			err = decode(r, &c.restored)
		case len(r.Key) > 0 && r.Key[0] == keyEntry:
			err = c.loadItem(r, spaces)
		default:
			err = fmt.Errorf("%w: record %.300q: unknown key", store.ErrDamaged, r.Key)
		}
		if err != nil {
			return err
		}
	}
	if c.restored.Wait > uint64(MaxWait.Milliseconds()) {
		return fmt.Errorf("%w: record %.300q: the wait is out of range", store.ErrDamaged, keyRestore)
	}
	for space, rel := range spaces {
		if space > c.last {
			return fmt.Errorf("%w: node %q: space %d is above the counter", store.ErrDamaged, rel, space)
		}
	}

	return nil
}

func (c *Catalog) loadItem(r node.Record, spaces map[store.Space]string) error {
	rel, i, err := c.decodeItem(r)
	if err != nil {
		return err
	}
	if i.kind == Node {
		if other, taken := spaces[i.space]; taken {
			return fmt.Errorf("%w: record %.300q: space %d belongs to %q", store.ErrDamaged, r.Key, i.space, other)
		}
		spaces[i.space] = rel
	}
	c.put(rel, i)

	return nil
}

// decodeItem decodes the record of an entry whose parent is in the tree.
func (c *Catalog) decodeItem(r node.Record) (rel string, i item, err error) {
	var s storedItem
	if err := decode(r, &s); err != nil {
		return "", i, err
	}
	damaged := func(what string) (string, item, error) {
		return "", item{}, fmt.Errorf("%w: record %.300q: %s", store.ErrDamaged, r.Key, what)
	}

	rel = string(r.Key[1:])
	parts, err := split("/" + rel)
	if err != nil || len(parts) == 0 || strings.Join(parts, "/") != rel {
		return damaged("key is not a valid path")
	}
	parent, _ := splitLast(rel)
	if p := c.tree[parent]; p == nil || p.kind != Directory {
		return damaged("parent is not a directory")
	}

	i = item{kind: s.Kind, space: s.Space, config: Config{
		SelfCheckPeriodMillis:    s.SelfCheck,
		SessionGracePeriodMillis: s.Grace,
		ReadConsistency:          s.ReadConsistency,
		AttachConsistency:        s.AttachConsistency,
		RateLimiterCounters:      s.Counters,
	}}
	switch s.Kind {
	case Directory:
		if s != (storedItem{Kind: Directory}) {
			return damaged("directory with settings")
		}
	case Node:
		if err := i.config.check(); err != nil {
			return damaged(err.Error())
		}
		if s.Space == store.Catalog {
			return damaged(fmt.Sprintf("space %d belongs to the catalog", s.Space))
		}
	default:
		return damaged("unknown kind")
	}

	return rel, i, nil
}
