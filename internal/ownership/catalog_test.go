package ownership_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// catalogWorld is a schedule of servers that change the catalog in turns, some of whose messages are lost, late or
// repeated. Each change adds one to a counter.
type catalogWorld struct {
	rand    *rand.Rand
	etcd    *etcd
	broken  func(ownership.Txn) ownership.Txn // breaks the design on purpose
	changes []*ownership.CatalogChange        // of each server; nil: none
	ids     []string
	late    []ownership.Txn
	applied map[string]int // changes by their ids
	denied  []string       // those of which a server has learned that they were not made
	hits    struct{ changed, earlier, repeated int }
}

// run returns what is wrong.
func (w *catalogWorld) run(steps int) (err error) {
	for step := range steps {
		s := w.rand.IntN(len(w.changes))
		if w.changes[s] == nil {
			w.plan(s, fmt.Sprint(step))
		} else if err = w.send(s); err != nil {
			return err
		}
		if len(w.late) > 0 && w.rand.IntN(3) == 0 { // and perhaps again
			w.carryOut(w.late[w.rand.IntN(len(w.late))])
		}
	}
	total := 0
	for id, n := range w.applied {
		total++
		if n > 1 || slices.Contains(w.denied, id) {
			return fmt.Errorf("change %s was made %d times, or its server believes that it was not", id, n)
		}
	}
	if version, count := w.read(); count != total || version.Number != uint64(total) {
		return fmt.Errorf("%d changes were made, but the count is %d, and the version %d", total, count, version.Number)
	}

	return nil
}

// read reads the catalog linearizably.
func (w *catalogWorld) read() (version ownership.CatalogVersion, count int) {
	r, err := w.etcd.apply(ownership.Txn{Then: []ownership.Op{
		{Kind: ownership.Get, Key: ownership.CatalogVersionKey}, ownership.CatalogPage("", 0),
	}}, 0)
	if err == nil {
		version, err = ownership.DecodeCatalogVersion(r.Gets[0])
	}
	if err != nil {
		panic(err)
	}
	for _, kv := range r.Gets[1] {
		record, _ := ownership.CatalogRecord(kv)
		_, _ = fmt.Sscan(string(record.Value), &count)
	}

	return version, count
}

func (w *catalogWorld) plan(s int, id string) {
	version, count := w.read()
	value := fmt.Append(nil, count+1)
	w.ids[s] = id
	w.changes[s] = ownership.NewCatalogChange(version, store.Batch{Changes: []node.Record{
		{Key: []byte("count"), Value: []byte("superseded")}, {Key: []byte("count"), Value: value},
	}}, id)
}

// send makes one attempt.
func (w *catalogWorld) send(s int) error {
	txn := w.broken(w.changes[s].Send())
	switch w.rand.IntN(5) {
	case 0: // it is lost, or arrives late
		w.late = append(w.late, txn)

		return nil
	case 1: // the answer is lost, or the network delivers it again
		w.late = append(w.late, txn)
		w.carryOut(txn)

		return nil
	}
	r := w.carryOut(txn)
	_, err := w.changes[s].Answer(r)
	w.changes[s] = nil
	switch id := w.ids[s]; {
	case err == nil && w.applied[id] == 0:
		return fmt.Errorf("change %s was not made, but its server believes that it was", id)
	case err == nil && !r.Succeeded:
		w.hits.earlier++
	case err != nil:
		w.hits.changed++
		w.denied = append(w.denied, id)
	}

	return nil
}

func (w *catalogWorld) carryOut(txn ownership.Txn) ownership.Result {
	r, err := w.etcd.apply(txn, 0)
	if err != nil {
		panic(err)
	}
	if !r.Succeeded {
		w.hits.repeated++

		return r
	}
	v, err := ownership.DecodeCatalogVersion([]ownership.KV{{Create: 1, Value: txn.Then[0].Value}})
	if err != nil {
		panic(err)
	}
	w.applied[v.Recent[0]]++

	return r
}

func newCatalogWorld(seed uint64, broken func(ownership.Txn) ownership.Txn) *catalogWorld {
	servers := 1 + int(seed%4)

	return &catalogWorld{
		rand: rand.New(rand.NewPCG(seed, 1)), etcd: newEtcd(), applied: make(map[string]int), broken: broken,
		changes: make([]*ownership.CatalogChange, servers), ids: make([]string, servers),
	}
}

// Each change is made once if its server believes that it was made, and otherwise not at all, also if messages are
// lost, late or repeated.
func TestCatalogChange_Simulation(t *testing.T) {
	t.Parallel()
	const schedules = 200
	intact := func(txn ownership.Txn) ownership.Txn { return txn }
	hits := newCatalogWorld(0, intact).hits
	for seed := range uint64(schedules) {
		w := newCatalogWorld(seed, intact)
		require.NoError(t, w.run(100), "seed %d", seed)
		hits.changed += w.hits.changed
		hits.earlier += w.hits.earlier
		hits.repeated += w.hits.repeated
	}
	require.Positive(t, min(hits.changed, hits.earlier, hits.repeated), "%+v", hits)
	for name, broken := range map[string]func(ownership.Txn) ownership.Txn{
		"without compare": func(txn ownership.Txn) ownership.Txn {
			txn.If = nil

			return txn
		},
		"without ids": func(txn ownership.Txn) ownership.Txn {
			txn.Else = []ownership.Op{{Kind: ownership.Get, Key: "nothing"}}

			return txn
		},
	} {
		noticed := false
		for seed := uint64(0); seed < schedules && !noticed; seed++ {
			noticed = newCatalogWorld(seed, broken).run(100) != nil
		}
		require.True(t, noticed, name)
	}
}

// After too many changes of others, it is not known any more whether a change was made.
func TestCatalogChange_Forgotten(t *testing.T) {
	t.Parallel()
	e := newEtcd()
	apply := func(c *ownership.CatalogChange) (ownership.Result, error) {
		r, err := e.apply(c.Send(), 0)
		require.NoError(t, err)
		_, err = c.Answer(r)

		return r, err
	}
	next := func() ownership.CatalogVersion {
		v, err := ownership.DecodeCatalogVersion([]ownership.KV{must(e.kv(ownership.CatalogVersionKey))})
		require.NoError(t, err)

		return v
	}
	unknown := ownership.NewCatalogChange(ownership.CatalogVersion{}, store.Batch{}, "unknown")
	late := ownership.NewCatalogChange(ownership.CatalogVersion{}, store.Batch{}, "late")
	_ = unknown.Send()
	for i := range 65 {
		_, err := apply(ownership.NewCatalogChange(next(), store.Batch{}, fmt.Sprint(i)))
		require.NoError(t, err)
		if i == 63 {
			again := ownership.NewCatalogChange(ownership.CatalogVersion{}, store.Batch{}, "0")
			_ = again.Send()
			_, err = apply(again)
			require.NoError(t, err, "change 0 is still known")
		}
	}
	_, err := apply(unknown)
	require.ErrorIs(t, err, ownership.ErrForgotten)
	_, err = apply(late)
	require.ErrorIs(t, err, store.ErrChanged, "an only attempt that has failed was not made")
}

func must(kv ownership.KV, _ bool) ownership.KV { return kv }
