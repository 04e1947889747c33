package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/store"
)

func sorted(records map[string]node.Record) (all []node.Record) {
	for _, key := range slices.Sorted(maps.Keys(records)) {
		all = append(all, records[key])
	}

	return all
}

// RunCommon tests a kind of store that servers share: what it does with the catalog. Disk returns a function that opens
// a further server's store each time.
func RunCommon(t *testing.T, disk func(*testing.T) func() (store.Common, error)) {
	t.Helper()
	for name, test := range map[string]func(commonSuite){
		"update":             commonSuite.update,
		"refused":            commonSuite.refused,
		"changes of others":  commonSuite.changesOfOthers,
		"concurrent creates": commonSuite.concurrentCreates,
		"drop":               commonSuite.drop,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(commonSuite{t, disk(t)})
		})
	}
}

type commonSuite struct {
	*testing.T
	open func() (store.Common, error)
}

func (t commonSuite) store() store.Common {
	s, err := t.open()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	return s
}

// trees opens catalogues, each on its own server's store.
func (t commonSuite) trees(n int) (all []*catalog.Catalog) {
	for range n {
		c, err := catalog.Open(t.Context(), t.store(), "/local")
		require.NoError(t, err)
		all = append(all, c)
	}

	return all
}

// follower has the records that a store has sent it.
type follower struct {
	mu      sync.Mutex
	version uint64
	records map[string]string
	errs    []error
}

func (f *follower) take(u store.Update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.All {
		f.records = make(map[string]string)
	} else if u.Version != f.version+1 {
		f.errs = append(f.errs, fmt.Errorf("version %d follows %d", u.Version, f.version))
	}
	f.version = u.Version
	for _, r := range u.Records {
		f.records[string(r.Key)] = string(r.Value)
		if r.Value == nil {
			delete(f.records, string(r.Key))
		}
	}
}

func (f *follower) get(t *testing.T) (version uint64, records map[string]string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NoError(t, errors.Join(f.errs...))

	return f.version, maps.Clone(f.records)
}

func (t commonSuite) update() {
	a, b := t.store(), t.store()
	var fa, fb follower
	require.NoError(t, a.Follow(t.Context(), fa.take))
	version, records := fa.get(t.T)
	require.Zero(t, version)
	require.Empty(t, records)
	require.NoError(t, a.Sync(t.Context()))

	put := func(key, value string) store.Batch { return store.Batch{Changes: []node.Record{Put(key, value)}} }
	require.NoError(t, a.CommitAt(t.Context(), 0, put("a", "1")))
	require.NoError(t, a.CommitAt(t.Context(), 1, put("b", "")))
	require.NoError(t, b.Follow(t.Context(), fb.take))
	require.ErrorIs(t, b.CommitAt(t.Context(), 1, put("a", "x")), store.ErrChanged)
	require.NoError(t, b.CommitAt(t.Context(), 2, store.Batch{Changes: []node.Record{
		Put("c", "x"), Put("c", "3"), Put("d", "x"), Del("d"), Del("a"), Del("absent"),
	}}))
	require.ErrorIs(t, a.CommitAt(t.Context(), 2, put("a", "x")), store.ErrChanged)
	want := map[string]string{"b": "", "c": "3"}
	for _, f := range []*follower{&fa, &fb} { // both have taken what made their calls return
		version, records = f.get(t.T)
		require.EqualValues(t, 3, version)
		require.Equal(t, want, records)
	}
	require.Equal(t, []string{`"b"=""`, `"c"="3"`}, Records(t.T, a, store.Catalog))
	require.NoError(t, b.Commit(t.Context(), put("b", "2")), "whatever version there is")
	require.NoError(t, a.Sync(t.Context()))
	_, records = fa.get(t.T)
	require.Equal(t, map[string]string{"b": "2", "c": "3"}, records)
}

func (t commonSuite) refused() {
	s := t.store()
	var f follower
	require.NoError(t, s.Follow(t.Context(), f.take))
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Sync(t.Context()), store.ErrClosed)
	require.ErrorIs(t, s.CommitAt(t.Context(), 0, store.Batch{}), store.ErrClosed)
}

// changesOfOthers makes each change through another server than the one before. Each of them plans on what the others
// have done, and a node that was created through one is not missed by the others.
func (t commonSuite) changesOfOthers() {
	all := t.trees(3)
	next := func(i int) *catalog.Catalog { return all[i%len(all)] }
	for i := range 12 {
		path := fmt.Sprintf("/local/d%d/n", i%2)
		switch c := next(i); i % 6 {
		case 0, 1:
			require.NoError(t, c.CreateNode(t.Context(), path, catalog.Config{}), i)
		case 2, 3:
			require.NoError(t, c.AlterNode(t.Context(), path, catalog.Config{SessionGracePeriodMillis: uint32(i)}), i)
		default:
			require.NoError(t, c.Sync(t.Context()))
			e, err := c.Lookup(path)
			require.NoError(t, err)
			require.EqualValues(t, i-2, e.Config.SessionGracePeriodMillis)
			require.NoError(t, c.DropNode(t.Context(), path, e.Space), i)
			require.NoError(t, next(i+1).RemoveDirectory(t.Context(), fmt.Sprintf("/local/d%d", i%2)), i)
		}
	}
	for _, c := range all {
		require.NoError(t, c.Sync(t.Context()))
		_, children, err := c.List("/local")
		require.NoError(t, err)
		require.Empty(t, children)
	}
}

// concurrentCreates creates the same nodes through all servers at the same time. All get the same ones, and no two
// nodes get the same space.
func (t commonSuite) concurrentCreates() {
	const nodes = 5
	all := t.trees(3)
	var wg sync.WaitGroup
	errs := make([][nodes]error, len(all))
	for i, c := range all {
		wg.Go(func() {
			for n := range nodes {
				errs[i][n] = c.CreateNode(t.Context(), fmt.Sprintf("/local/d/n%d", n), catalog.Config{})
			}
		})
	}
	wg.Wait()
	var want []catalog.Entry
	for i, c := range all {
		require.NoError(t, errors.Join(errs[i][:]...))
		require.NoError(t, c.Sync(t.Context()))
		_, children, err := c.List("/local/d")
		require.NoError(t, err)
		if i == 0 {
			want = children
		}
		require.Equal(t, want, children)
	}
	spaces := make(map[store.Space]bool)
	for _, e := range want {
		spaces[e.Space] = true
	}
	require.Len(t, spaces, nodes)
}

// drop drops a node that another server serves, and creates it again.
func (t commonSuite) drop() {
	s := t.store()
	a, err := catalog.Open(t.Context(), s, "/local")
	require.NoError(t, err)
	dropped := make(chan store.Space, 1)
	a.OnDrop(func(space store.Space) { dropped <- space })
	b := t.trees(1)[0]
	require.NoError(t, b.CreateNode(t.Context(), "/local/n", catalog.Config{}))
	require.NoError(t, a.Sync(t.Context()))
	e, err := a.Lookup("/local/n")
	require.NoError(t, err)
	require.NoError(t, s.Claim(t.Context(), e.Space))
	require.NoError(t, s.Commit(t.Context(), store.Batch{Space: e.Space, Changes: []node.Record{Put("k", "v")}}))

	require.NoError(t, b.DropNode(t.Context(), "/local/n", e.Space))
	require.ErrorIs(t, s.Confirm(t.Context(), e.Space), store.ErrDropped)
	require.ErrorIs(t, s.Claim(t.Context(), e.Space), store.ErrDropped)
	require.Equal(t, e.Space, <-dropped)
	require.NoError(t, b.CreateNode(t.Context(), "/local/n", catalog.Config{}))
	require.Error(t, a.DropNode(t.Context(), "/local/n", e.Space), "that node is gone")
	again, err := a.Lookup("/local/n")
	require.NoError(t, err)
	require.Greater(t, again.Space, e.Space)
	require.Empty(t, Records(t.T, s, again.Space))
}
