package node_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// sound returns a state that a node can have written. The cases of TestLoad_Damaged break it.
func sound() state {
	return state{
		counters: countersRecord{session: 3, semaphore: 2, order: 4},
		sessions: []sessionRecord{
			{id: 1, timeout: 5_000, description: "one", key: "secret"}, {id: 3, timeout: 5_000},
		},
		semaphores: []semaphoreRecord{
			{id: 1, name: "job", limit: 1, data: "what"},
			{id: 2, name: "lock", limit: 1<<64 - 1, ephemeral: true},
		},
		links: []linkRecord{
			{session: 1, semaphore: 1, order: 1, count: 1, timeout: 0},
			{session: 3, semaphore: 1, order: 2, count: 1, timeout: 5_000},
			{session: 3, semaphore: 2, order: 4, count: 2, timeout: forever},
		},
	}
}

func load(rs records) (*node.Node, error) { return node.Load(1, node.Config{}, rs.all()) }

func TestLoad_Damaged(t *testing.T) {
	t.Parallel()
	_, err := load(written(sound()))
	require.NoError(t, err, "the state must be sound before the cases break it")

	for name, damage := range map[string]func(*state){
		"session of a link is missing":       func(s *state) { s.sessions = s.sessions[:1] },
		"semaphore of a link is missing":     func(s *state) { s.semaphores = s.semaphores[1:] },
		"counters are missing":               func(s *state) { s.counters = countersRecord{} },
		"session id above its counter":       func(s *state) { s.counters.session = 2 },
		"semaphore id above its counter":     func(s *state) { s.counters.semaphore = 1 },
		"order id above its counter":         func(s *state) { s.counters.order = 3 },
		"two semaphores with the same name":  func(s *state) { s.semaphores[1].name = "job" },
		"two links with the same order id":   func(s *state) { s.links[1].order = 1 },
		"order id 0":                         func(s *state) { s.links[0].order = 0 },
		"count 0":                            func(s *state) { s.links[0].count = 0 },
		"count above the limit":              func(s *state) { s.links[1].count = 2 },
		"limit 0":                            func(s *state) { s.semaphores[0].limit = 0; s.links = s.links[2:] },
		"session id 0":                       func(s *state) { s.sessions[0].id = 0; s.links[0].session = 0 },
		"semaphore id 0":                     func(s *state) { s.semaphores[1].id = 0; s.links[2].semaphore = 0 },
		"session timeout above 30 min":       func(s *state) { s.sessions[0].timeout = 1_800_001 },
		"description of 1,025 bytes":         func(s *state) { s.sessions[0].description = tooLongString },
		"key of 17 bytes":                    func(s *state) { s.sessions[0].key = "0123456789abcdefg" },
		"name of 1,025 bytes":                func(s *state) { s.semaphores[0].name = tooLongString },
		"semaphore data above 1 MiB":         func(s *state) { s.semaphores[0].data = string(tooLargeData) },
		"link data above 1 MiB":              func(s *state) { s.links[0].data = string(tooLargeData) },
		"acquire timeout above a day":        func(s *state) { s.links[1].timeout = 86_400_001 },
		"acquire timeout just below forever": func(s *state) { s.links[1].timeout = forever - 1 },
		"waiter with timeout 0":              func(s *state) { s.links[1].timeout = 0 },
		"ephemeral semaphore without links":  func(s *state) { s.links = s.links[:2] },
		"ephemeral semaphore with a limit":   func(s *state) { s.semaphores[1].limit = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sound()
			damage(&s)
			n, err := load(written(s))
			require.ErrorIs(t, err, node.ErrDamaged)
			require.Nil(t, n)
		})
	}
}

func TestLoad_DamagedBytes(t *testing.T) {
	t.Parallel()
	sealed := func(key string, fields ...byte) node.Record {
		return node.Record{Key: []byte(key), Value: append(fields, checksum([]byte(key), fields)...)}
	}
	id := string(binary.BigEndian.AppendUint64(nil, 1))
	for name, r := range map[string]node.Record{
		"empty key":                    sealed(""),
		"unknown kind":                 sealed("x"+id, 0, 0, 0),
		"kind without its id":          sealed("s", 0, 0, 0),
		"id too short":                 sealed("s"+id[1:], 0, 0, 0),
		"id too long":                  sealed("s"+id+"x", 0, 0, 0),
		"counters with an id":          sealed("c"+id, 1, 0, 0),
		"link with one id":             sealed("l"+id, 1, 1, 1, 0),
		"no value":                     {Key: []byte("s" + id)},
		"value shorter than checksum":  {Key: []byte("s" + id), Value: []byte{1, 2, 3}},
		"no fields":                    sealed("s" + id),
		"a field is missing":           sealed("s"+id, 0, 0),
		"an extra field":               sealed("s"+id, 0, 0, 0, 0),
		"text longer than the value":   sealed("s"+id, 0, 9, 'x', 0),
		"number longer than needed":    sealed("s"+id, 0x80, 0x00, 0, 0),
		"unterminated number":          sealed("s"+id, 0x80),
		"number above 2^64-1":          sealed("c", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0),
		"ephemeral is neither 0 nor 1": sealed("m"+id, 0, 1, 2, 0),
		"checksum of another key":      {Key: []byte("s" + id), Value: sealed("s"+id+id, 0, 0, 0).Value},
		"checksum in big endian":       {Key: []byte("c"), Value: backwards(sealed("c", 1, 1, 1).Value)},
		"counters without fields":      sealed("c"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rs := []node.Record{r}
			if string(r.Key) != "c" {
				rs = append(rs, sealed("c", 9, 9, 9))
			}
			n, err := node.Load(1, node.Config{}, yield(rs))
			require.ErrorIs(t, err, node.ErrDamaged)
			require.Nil(t, n)
		})
	}
}

// backwards reverses the last four bytes.
func backwards(value []byte) []byte {
	slices.Reverse(value[len(value)-4:])

	return value
}

// TestLoad_AnyFlippedBit checks that Load detects a change of any single bit in the key or the value of a record.
func TestLoad_AnyFlippedBit(t *testing.T) {
	t.Parallel()
	count := len(goldenRecords(t, 2))
	for i := range count {
		r := goldenRecords(t, 2)[i]
		for bit := range 8 * (len(r.Key) + len(r.Value)) {
			rs := goldenRecords(t, 2)
			if at := bit / 8; at < len(r.Key) {
				rs[i].Key[at] ^= 1 << (bit % 8)
			} else {
				rs[i].Value[at-len(r.Key)] ^= 1 << (bit % 8)
			}
			_, err := node.Load(1, node.Config{}, yield(rs))
			require.ErrorIs(t, err, node.ErrDamaged, "record %d, bit %d", i, bit)
		}
	}
}

func TestLoad_DuplicateRecord(t *testing.T) {
	t.Parallel()
	for _, r := range goldenRecords(t, 2) {
		_, err := node.Load(1, node.Config{}, yield(append(goldenRecords(t, 2), r)))
		require.ErrorIs(t, err, node.ErrDamaged, "%x", r.Key)
	}
}

// TestLoad_TwoValuesOfOneKey checks that Load refuses two different values for a key. Each would be valid together with
// the other records, but nothing says which one is current.
func TestLoad_TwoValuesOfOneKey(t *testing.T) {
	t.Parallel()
	differ := 0
	one, two := written(sound()), sound()
	two.counters.order++
	two.sessions[0].timeout++
	two.semaphores[0].name = "another"
	two.links[0].order, two.links[0].timeout = 3, 5_000
	for key, value := range written(two) {
		if string(one[key]) == string(value) {
			continue
		}
		differ++
		rs := []node.Record{{Key: []byte(key), Value: value}}
		for key, value := range one {
			rs = append(rs, node.Record{Key: []byte(key), Value: value})
		}
		_, err := node.Load(1, node.Config{}, yield(rs))
		require.ErrorIs(t, err, node.ErrDamaged, "%x", key)
	}
	require.Equal(t, 4, differ, "one record of each kind must differ")
}

// TestLoad_ReturnsStoreError checks that Load returns the store's error, and does not call the records damaged, if the
// store cannot read.
func TestLoad_ReturnsStoreError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk is gone")
	n, err := node.Load(1, node.Config{}, func(yield func(node.Record, error) bool) {
		yield(node.Record{}, broken)
	})
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, node.ErrDamaged)
	require.Nil(t, n)
}

func TestLoad_NoRecords(t *testing.T) {
	t.Parallel()
	n, err := load(records{})
	require.NoError(t, err)
	var fx node.Effects
	n.Apply(1, node.Attach{Stream: 1, TimeoutMillis: 1}, &fx)
	require.Equal(t, []node.Reply{{Stream: 1, Message: node.Attached{Session: 1, TimeoutMillis: 1}}}, fx.Replies)
}

// TestLoad_KeepsNoSlice checks that the node does not use the store's slices after Load has returned.
func TestLoad_KeepsNoSlice(t *testing.T) {
	t.Parallel()
	rs := goldenRecords(t, 2)
	n, err := node.Load(1, node.Config{}, yield(rs))
	require.NoError(t, err)
	for _, r := range rs {
		clear(r.Key)
		clear(r.Value)
	}
	var fx node.Effects
	n.Apply(1, node.Attach{Stream: 2, Session: 1, ProtectionKey: []byte("0123456789abcdef")}, &fx)
	require.Equal(t, []byte{0, 0xff, '\n'}, describe(t, n, "job").Data)
	require.Equal(t, []byte("first"), describe(t, n, "job").Owners[0].Data)
}
