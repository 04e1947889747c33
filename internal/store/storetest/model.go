package storetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/store"
)

// Model is a store that is too simple to be wrong. It has the contents that a real store has after the same batches.
// The zero Model is not usable: call NewModel or Clone.
type Model map[store.Space]map[string]string

// NewModel returns the model of an empty store.
func NewModel() Model { return make(Model) }

// Apply applies the batch to the model.
func (m Model) Apply(b store.Batch) {
	for _, space := range b.Drop {
		delete(m, space)
	}
	if m[b.Space] == nil {
		m[b.Space] = make(map[string]string)
	}
	for _, r := range b.Changes {
		if r.Value == nil {
			delete(m[b.Space], string(r.Key))
		} else {
			m[b.Space][string(r.Key)] = string(r.Value)
		}
	}
}

// Clone returns a copy of the model.
func (m Model) Clone() Model {
	c := NewModel()
	for space, records := range m {
		c[space] = maps.Clone(records)
	}

	return c
}

// Equal reports whether both models hold the same records. A space without records equals one that was never written
// to.
func (m Model) Equal(other Model) bool {
	for _, pair := range [][2]Model{{m, other}, {other, m}} {
		for space, records := range pair[0] {
			if !maps.Equal(records, pair[1][space]) {
				return false
			}
		}
	}

	return true
}

// Records returns the records of a space in the same form and order as the function Records.
func (m Model) Records(space store.Space) []string {
	all := []string{}
	for _, key := range slices.Sorted(maps.Keys(m[space])) {
		all = append(all, fmt.Sprintf("%q=%q", key, m[space][key]))
	}

	return all
}

// The model test uses few spaces and keys, so that batches often change the same records.
var (
	modelSpaces = []store.Space{0, 1, 2, 255, 256}
	modelKeys   = []string{"", "\x00", "a", "b", "b\x00", "\xff"}
	modelValues = []string{"", "1", "2", "\x00\xff"}
)

// drawBatch draws a batch for one of the spaces, of which it drops some.
func drawBatch(t *rapid.T, spaces []store.Space, traits Traits) store.Batch {
	b := store.Batch{Space: rapid.SampledFrom(spaces).Draw(t, "space")}
	for range rapid.IntRange(0, 5).Draw(t, "changes") {
		key := rapid.SampledFrom(modelKeys).Draw(t, "key")
		if rapid.Bool().Draw(t, "delete") {
			b.Changes = append(b.Changes, Del(key))
		} else {
			b.Changes = append(b.Changes, Put(key, rapid.SampledFrom(modelValues).Draw(t, "value")))
		}
	}
	for _, space := range spaces {
		if traits.Shared && space == store.Catalog { // it cannot be dropped
			continue
		}
		if space != b.Space && rapid.IntRange(0, 9).Draw(t, "drop") == 0 {
			b.Drop = append(b.Drop, space)
		}
	}

	return b
}

// RunModel tests a kind of store with random batches and reopens, and compares it with a Model. It creates about a
// hundred stores.
func RunModel(t *testing.T, disk Disk) {
	t.Helper()
	RunModelTraits(t, disk, Traits{})
}

// RunModelTraits is RunModel for a kind of store with the traits.
func RunModelTraits(t *testing.T, disk Disk, traits Traits) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		open := claimed(disk(t))
		spaces := slices.Clone(modelSpaces) // that can be used
		s, err := open()
		require.NoError(rt, err)
		defer func() { require.NoError(rt, s.Close()) }()

		model := NewModel()
		rt.Repeat(map[string]func(*rapid.T){
			"commit": func(rt *rapid.T) {
				b := drawBatch(rt, spaces, traits)
				require.NoError(rt, s.Commit(t.Context(), b))
				model.Apply(b)
				if traits.NoReuse {
					spaces = slices.DeleteFunc(spaces, func(s store.Space) bool { return slices.Contains(b.Drop, s) })
				}
			},
			"refused": func(rt *rapid.T) {
				b := drawBatch(rt, spaces, traits)
				b.Changes = append(b.Changes, Put("refused", "v"))
				b.Drop = append(b.Drop, b.Space)
				require.Error(rt, s.Commit(t.Context(), b))
			},
			"reopen": func(rt *rapid.T) {
				require.NoError(rt, s.Close())
				s, err = open()
				require.NoError(rt, err)
			},
			"snapshot": func(rt *rapid.T) {
				require.True(rt, model.Equal(Snapshot(t, s)))
			},
			"": func(rt *rapid.T) {
				space := rapid.SampledFrom(modelSpaces).Draw(rt, "look at")
				require.Equal(rt, model.Records(space), Records(t, s, space))
			},
		})
		for _, space := range modelSpaces {
			require.Equal(rt, model.Records(space), Records(t, s, space))
		}
	})
}
