package catalog

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
)

// records is a store that yields its records in the given order.
type records []node.Record

func (rs records) Load(context.Context, store.Space) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		for _, r := range rs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (records) Snapshot(context.Context) iter.Seq2[store.Record, error] { return nil }

func (records) Shared() bool                               { return false }
func (records) Claim(context.Context, store.Space) error   { return nil }
func (records) Confirm(context.Context, store.Space) error { return nil }
func (records) Commit(context.Context, store.Batch) error  { return errors.New("read only") }
func (records) Close() error                               { return nil }

// TestRecords_Golden checks that the format of the records does not change, so that existing stores stay readable.
func TestRecords_Golden(t *testing.T) {
	t.Parallel()
	cfg := Config{
		SelfCheckPeriodMillis: 1, SessionGracePeriodMillis: 1<<32 - 1, ReadConsistency: Strict, AttachConsistency: Relaxed,
		RateLimiterCounters: Detailed,
	}
	for _, tc := range []struct {
		record     node.Record
		key, value string
	}{
		{encodeLast(258), "c", "00000000000001026b069239"},
		{
			encodeItem("a/b", item{kind: Directory}), "ea/b",
			"0100000000000000000000000000000000000000000000000000000000525f7fa3",
		},
		{
			encodeItem("a/n", item{kind: Node, space: 3, config: cfg}), "ea/n",
			"02000000000000000300000001ffffffff00000001000000020000000224ba1ecb",
		},
	} {
		require.Equal(t, tc.key, string(tc.record.Key))
		require.Equal(t, tc.value, hex.EncodeToString(tc.record.Value))
	}
}

func TestOpen_Damaged(t *testing.T) {
	t.Parallel()
	last := encodeLast(5)
	dir := encodeItem("d", item{kind: Directory})
	n := encodeItem("n", item{kind: Node, space: 1})
	with := func(r node.Record, change func(*node.Record)) node.Record {
		r = node.Record{Key: append([]byte{}, r.Key...), Value: append([]byte{}, r.Value...)}
		change(&r)

		return r
	}
	for name, tc := range map[string]struct {
		records records
		words   string
	}{
		"flipped bit":            {records{last, with(n, func(r *node.Record) { r.Value[8] ^= 1 })}, "checksum mismatch"},
		"value of another key":   {records{last, with(n, func(r *node.Record) { r.Key[1] = 'm' })}, "checksum mismatch"},
		"cut":                    {records{last, {Key: n.Key, Value: n.Value[:3]}}, "checksum mismatch"},
		"no value":               {records{last, {Key: []byte("en")}}, "checksum mismatch"},
		"layout of another kind": {records{encode([]byte("c"), storedItem{Kind: Directory})}, "wrong length"},
		"longer layout":          {records{encode([]byte("c"), [9]byte{})}, "wrong length"},
		"unknown key":            {records{encode([]byte("x"), uint64(1))}, "unknown key"},
		"longer counter key":     {records{encode([]byte("cc"), uint64(1))}, "unknown key"},
		"empty key":              {records{encode(nil, uint64(1))}, "unknown key"},
		"database itself":        {records{encodeItem("", item{kind: Directory})}, "not a valid path"},
		"slash at the end":       {records{dir, encodeItem("d/", item{kind: Directory})}, "not a valid path"},
		"doubled slash":          {records{dir, encodeItem("d//e", item{kind: Directory})}, "not a valid path"},
		"parent in a path":       {records{dir, encodeItem("d/..", item{kind: Directory})}, "not a valid path"},
		"no parent":              {records{encodeItem("d/e", item{kind: Directory})}, "not a directory"},
		"parent is a node":       {records{last, n, encodeItem("n/e", item{kind: Directory})}, "not a directory"},
		"unknown kind":           {records{encodeItem("d", item{kind: 3})}, "unknown kind"},
		"no kind":                {records{encodeItem("d", item{})}, "unknown kind"},
		"directory with a space": {
			records{last, encodeItem("d", item{kind: Directory, space: 1})},
			"directory with settings",
		},
		"directory with settings": {
			records{last, encodeItem("d", item{kind: Directory, config: Config{SelfCheckPeriodMillis: 1}})},
			"directory with settings",
		},
		"node in the catalog's space": {records{last, encodeItem("n", item{kind: Node})}, "space 0"},
		"space of two nodes":          {records{last, encodeItem("m", item{kind: Node, space: 1}), n}, `belongs to "m"`},
		"space above the counter":     {records{last, encodeItem("n", item{kind: Node, space: 6})}, "above the counter"},
		"no counter":                  {records{n}, "above the counter"},
		"unknown mode": {
			records{last, encodeItem("n", item{kind: Node, space: 1, config: Config{ReadConsistency: 3}})},
			"read_consistency_mode 3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(t.Context(), tc.records, "/local")
			require.ErrorIs(t, err, store.ErrDamaged)
			require.ErrorContains(t, err, tc.words)
		})
	}
	_, err := Open(t.Context(), records{last, dir, n}, "/local")
	require.NoError(t, err)
}

func TestOpen_StoreFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("unreadable")
	_, err := Open(t.Context(), loadFails{err: broken}, "/local")
	require.ErrorIs(t, err, broken)
}

type loadFails struct {
	records
	err error
}

func (l loadFails) Load(context.Context, store.Space) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) { yield(node.Record{}, l.err) }
}

// FuzzLoad checks that if Open accepts records, encoding the resulting tree gives the same records.
func FuzzLoad(f *testing.F) {
	fields := func(r node.Record) []byte { return r.Value[:len(r.Value)-4] }
	last := encodeLast(2)
	dir := encodeItem("d", item{kind: Directory})
	n := encodeItem("d/n", item{kind: Node, space: 2, config: Config{ReadConsistency: Strict}})
	f.Add(last.Key, fields(last), dir.Key, fields(dir), n.Key, fields(n), true)
	f.Add(last.Key, fields(last), dir.Key, fields(dir), n.Key, n.Value, false)
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2, key3, value3 []byte, seal bool) {
		var rs records
		for _, r := range []node.Record{{Key: key1, Value: value1}, {Key: key2, Value: value2}, {Key: key3, Value: value3}} {
			if len(rs) > 0 && string(rs[len(rs)-1].Key) >= string(r.Key) {
				continue // a store yields ascending keys
			}
			if seal {
				sealed := append([]byte{}, r.Value...)
				r.Value = binary.BigEndian.AppendUint32(sealed, node.Checksum(r.Key, r.Value))
			}
			rs = append(rs, r)
		}
		c, err := Open(t.Context(), rs, "/local")
		if err != nil {
			require.ErrorIs(t, err, store.ErrDamaged)

			return
		}
		for _, r := range rs {
			want := encodeLast(c.last)
			if r.Key[0] == keyEntry {
				rel := string(r.Key[1:])
				want = encodeItem(rel, *c.tree[rel])
			}
			require.Equal(t, want, r)
		}
	})
}
