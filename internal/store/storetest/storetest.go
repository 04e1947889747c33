// Package storetest is the test suite for implementations of store.Store.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Disk makes a disk that holds a new, empty store and lasts until the test ends. It returns a function that opens the
// store, which may be called repeatedly.
type Disk func(t *testing.T) (open func() (store.Store, error))

// Traits says in which ways a kind of store differs from one that a single process uses.
type Traits struct {
	Shared  bool // several servers can have it open
	NoReuse bool // a space that was dropped cannot be used again
}

// Run runs all tests of the suite except RunModel, each on a new disk.
func Run(t *testing.T, disk Disk) {
	t.Helper()
	RunTraits(t, disk, Traits{})
}

// RunTraits is Run for a kind of store with the traits.
func RunTraits(t *testing.T, disk Disk, traits Traits) {
	t.Helper()
	for name, test := range map[string]func(suite){
		"empty":                suite.empty,
		"claim":                suite.claim,
		"changes in order":     suite.changesInOrder,
		"empty value":          suite.emptyValue,
		"key order":            suite.keyOrder,
		"spaces are apart":     suite.spacesAreApart,
		"drop":                 suite.drop,
		"refused batch":        suite.refusedBatch,
		"slices are copied":    suite.slicesAreCopied,
		"load and commit":      suite.loadAndCommit,
		"big value":            suite.bigValue,
		"reopen":               suite.reopen,
		"locked":               suite.locked,
		"closed":               suite.closed,
		"canceled":             suite.canceled,
		"concurrent commits":   suite.concurrentCommits,
		"close awaits commits": suite.closeAwaitsCommits,
		"snapshot":             suite.snapshot,
		"snapshot canceled":    suite.snapshotCanceled,
		"snapshot is a prefix": suite.snapshotIsAPrefix,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(suite{t, claimed(disk(t)), traits})
		})
	}
}

// suite is one test of the suite.
type suite struct {
	*testing.T
	open   func() (store.Store, error) // on a disk that no other test uses
	traits Traits
}

// Open calls open and closes the store when the test ends.
func Open(t *testing.T, open func() (store.Store, error)) store.Store {
	t.Helper()
	s, err := open()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	return s
}

// Put returns the change that sets the key to the value, which may be empty.
func Put(key, value string) node.Record {
	return node.Record{Key: []byte(key), Value: append([]byte{}, value...)}
}

// Del returns the change that deletes the key.
func Del(key string) node.Record { return node.Record{Key: []byte(key)} }

// Records loads a space and returns its records in the order in which Load yields them. Each record has the form
// "key"="value", quoted as by %q.
func Records(t *testing.T, s store.Store, space store.Space) []string {
	t.Helper()
	all := []string{}
	for r, err := range s.Load(t.Context(), space) {
		require.NoError(t, err)
		require.NotNil(t, r.Value)
		all = append(all, fmt.Sprintf("%q=%q", r.Key, r.Value))
	}

	return all
}

func commit(t *testing.T, s store.Store, b store.Batch) {
	t.Helper()
	require.NoError(t, s.Commit(t.Context(), b))
}

func (t suite) empty() {
	s := Open(t.T, t.open)
	require.Empty(t, Records(t.T, s, store.Catalog))
	require.Empty(t, Records(t.T, s, math.MaxUint64-1))
	commit(t.T, s, store.Batch{Space: 3})
	require.Empty(t, Records(t.T, s, 3))
}

func (t suite) claim() {
	s := Open(t.T, t.open)
	for range 2 { // a second claim replaces the first
		require.NoError(t, s.Claim(t.Context(), 1))
		require.NoError(t, s.Confirm(t.Context(), 1))
		commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("a", "1")}})
		require.NoError(t, s.Confirm(t.Context(), 1))
	}
	require.Error(t, s.Claim(t.Context(), math.MaxUint64))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Claim(ctx, 2), context.Canceled)
}

func (t suite) changesInOrder() {
	s := Open(t.T, t.open)
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{
		Put("a", "1"), Put("a", "2"), // the last wins
		Put("b", "1"), Del("b"),
		Del("c"), Put("c", "1"),
		Put("d", "1"), Del("d"), Put("d", "2"),
	}})
	require.Equal(t, []string{`"a"="2"`, `"c"="1"`, `"d"="2"`}, Records(t.T, s, 1))

	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Del("a"), Put("c", "2"), Del("absent")}})
	require.Equal(t, []string{`"c"="2"`, `"d"="2"`}, Records(t.T, s, 1))
}

func (t suite) emptyValue() {
	s := Open(t.T, t.open)
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("", ""), Put("a", ""), Put("b", "x")}})
	require.Equal(t, []string{`""=""`, `"a"=""`, `"b"="x"`}, Records(t.T, s, 1))

	require.NoError(t, s.Close())
	s = Open(t.T, t.open)
	require.Equal(t, []string{`""=""`, `"a"=""`, `"b"="x"`}, Records(t.T, s, 1))
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Del(""), Del("a"), Put("b", "")}})
	require.Equal(t, []string{`"b"=""`}, Records(t.T, s, 1))
}

func (t suite) keyOrder() {
	s := Open(t.T, t.open)
	keys := []string{"", "\x00", "\x00\x00", "\x00\xff", "\x01", "a", "a\x00", "aa", "b", "\xfe\xff", "\xff", "\xff\xff"}
	b := store.Batch{Space: 1}
	want := make([]string, len(keys))
	for i, k := range keys {
		b.Changes = append(b.Changes, Put(keys[len(keys)-1-i], "v"))
		want[i] = fmt.Sprintf("%q=\"v\"", k)
	}
	commit(t.T, s, b)
	require.Equal(t, want, Records(t.T, s, 1))
}

func (t suite) spacesAreApart() {
	s := Open(t.T, t.open)
	spaces := []store.Space{store.Catalog, 1, 2, 254, 255, 256, 1 << 32, math.MaxUint64 - 2, math.MaxUint64 - 1}
	keys := []string{"", "\x00\x00\x00\x00\x00\x00\x00\x01", "k", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}
	for _, space := range spaces {
		b := store.Batch{Space: space}
		for _, k := range keys {
			b.Changes = append(b.Changes, Put(k, fmt.Sprint(space)))
		}
		commit(t.T, s, b)
	}
	commit(t.T, s, store.Batch{Space: 255, Changes: []node.Record{Del("k")}})
	for _, space := range spaces {
		want := make([]string, 0, len(keys))
		for _, k := range keys {
			if space != 255 || k != "k" {
				want = append(want, fmt.Sprintf("%q=%q", k, fmt.Sprint(space)))
			}
		}
		require.Equal(t, want, Records(t.T, s, space), "space %d", space)
	}
}

func (t suite) drop() {
	s := Open(t.T, t.open)
	spaces := []store.Space{store.Catalog, 1, 2, 3, 254, 255, 256, 257, math.MaxUint64 - 2, math.MaxUint64 - 1}
	for _, space := range spaces {
		commit(t.T, s, store.Batch{Space: space, Changes: []node.Record{Put("", "v"), Put("\xff\xff\xff", "v")}})
	}
	dropped := map[store.Space]bool{2: true, 255: true, 256: true, math.MaxUint64 - 1: true}
	commit(t.T, s, store.Batch{
		Space:   store.Catalog,
		Changes: []node.Record{Put("", "w")},
		Drop:    []store.Space{2, 255, 256, math.MaxUint64 - 1, 99},
	})
	check := func() {
		for _, space := range spaces {
			want := []string{`""="v"`, `"\xff\xff\xff"="v"`}
			if space == store.Catalog {
				want[0] = `""="w"`
			}
			if dropped[space] {
				want = []string{}
			}
			require.Equal(t, want, Records(t.T, s, space), "space %d", space)
		}
	}
	check()
	require.NoError(t, s.Close())
	s = Open(t.T, t.open)
	check()
	if t.traits.NoReuse {
		return
	}

	commit(t.T, s, store.Batch{Space: 255, Changes: []node.Record{Put("again", "v")}})
	require.Equal(t, []string{`"again"="v"`}, Records(t.T, s, 255))
}

func (t suite) refusedBatch() {
	s := Open(t.T, t.open)
	for _, b := range []store.Batch{
		{Space: 1, Drop: []store.Space{2, 1}},
		{Space: math.MaxUint64},
		{Space: 1, Drop: []store.Space{math.MaxUint64}},
	} {
		b.Changes = []node.Record{Put("a", "1")}
		require.Error(t, s.Commit(t.Context(), b))
	}
	require.Empty(t, Records(t.T, s, 1), "a rejected batch writes nothing")
	require.Error(t, loadError(s.Load(t.Context(), math.MaxUint64)))
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("a", "1")}})
}

func (t suite) slicesAreCopied() {
	s := Open(t.T, t.open)
	key, value := []byte("key"), []byte("value")
	b := store.Batch{Space: 1, Changes: []node.Record{{Key: key, Value: value}}}
	commit(t.T, s, b)
	copy(key, "xxx")
	copy(value, "xxxxx")
	b.Changes[0] = Del("key")
	require.Equal(t, []string{`"key"="value"`}, Records(t.T, s, 1))
}

// loadAndCommit breaks out of one load, and commits to another space during a second one.
func (t suite) loadAndCommit() {
	s := Open(t.T, t.open)
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("a", "1"), Put("b", "1"), Put("c", "1")}})
	for r, err := range s.Load(t.Context(), 1) {
		require.NoError(t, err)
		require.Equal(t, "a", string(r.Key))

		break
	}
	for r, err := range s.Load(t.Context(), 1) {
		require.NoError(t, err)
		commit(t.T, s, store.Batch{Space: 2, Changes: []node.Record{Put(string(r.Key), "copy")}})
	}
	require.Equal(t, []string{`"a"="copy"`, `"b"="copy"`, `"c"="copy"`}, Records(t.T, s, 2))
}

func (t suite) bigValue() {
	s := Open(t.T, t.open)
	data := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8), 0xff}, 1<<20/3) }
	const n = 12
	for i := range n {
		commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{{Key: []byte{byte(i)}, Value: data(i)}}})
	}
	both := []node.Record{{Key: []byte{0}, Value: data(n)}, {Key: []byte{1}, Value: data(n + 1)}, Del("\x02")}
	commit(t.T, s, store.Batch{Space: 1, Changes: both})
	require.NoError(t, s.Close())

	s = Open(t.T, t.open)
	var i int
	for r, err := range s.Load(t.Context(), 1) {
		require.NoError(t, err)
		want := i
		if i < 2 {
			want = n + i
		}
		require.Equal(t, []byte{byte(i)}, r.Key)
		require.True(t, bytes.Equal(data(want), r.Value), "value %d", i)
		if i++; i == 2 {
			i++ // skips the deleted key
		}
	}
	require.Equal(t, n, i)
}

func (t suite) reopen() {
	want := []string{}
	for i := range 5 {
		s := Open(t.T, t.open)
		require.Equal(t, want, Records(t.T, s, 7), "opened %d times", i)
		k := fmt.Sprint(i)
		commit(t.T, s, store.Batch{Space: 7, Changes: []node.Record{Put(k, k)}})
		want = append(want, fmt.Sprintf("%q=%q", k, k))
		require.NoError(t, s.Close())
	}
}

func (t suite) locked() {
	s := Open(t.T, t.open)
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("a", "1")}})
	for range 2 {
		if t.traits.Shared {
			break
		}
		_, err := t.open()
		require.ErrorIs(t, err, store.ErrLocked)
	}
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("b", "1")}})
	require.NoError(t, s.Close())
	require.Len(t, Records(t.T, Open(t.T, t.open), 1), 2)
}

func (t suite) closed() {
	s := Open(t.T, t.open)
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("a", "1")}})
	load := s.Load(t.Context(), 1)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())

	require.ErrorIs(t, s.Commit(t.Context(), store.Batch{Space: 1}), store.ErrClosed)
	require.ErrorIs(t, loadError(load), store.ErrClosed)
	require.ErrorIs(t, loadError(s.Load(t.Context(), 2)), store.ErrClosed)
}

// loadError returns the error of a load that yields no record.
func loadError(load func(func(node.Record, error) bool)) error {
	pairs, last := 0, error(nil)
	for _, err := range load {
		pairs++
		last = err
	}
	if last != nil && pairs != 1 {
		return fmt.Errorf("%d pairs, then %w", pairs-1, last)
	}

	return last
}

func (t suite) canceled() {
	s := Open(t.T, t.open)
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("a", "1"), Put("b", "1")}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for _, err := range s.Load(ctx, 1) {
		if seen++; seen == 1 {
			require.NoError(t, err)
			cancel()
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	require.Equal(t, 2, seen)

	require.ErrorIs(t, loadError(s.Load(ctx, 1)), context.Canceled)
	require.ErrorIs(t, loadError(s.Load(ctx, 2)), context.Canceled)
	b := store.Batch{Space: 1, Changes: []node.Record{Put("c", "1")}}
	require.ErrorIs(t, s.Commit(ctx, b), context.Canceled)
	require.Len(t, Records(t.T, s, 1), 2, "a commit canceled before it begins writes nothing")
	commit(t.T, s, b)
	require.Len(t, Records(t.T, s, 1), 3)
}

// concurrentCommits commits to each space from its own goroutine, as the owners of nodes do.
func (t suite) concurrentCommits() {
	const spaces, commits = 8, 50
	s := Open(t.T, t.open)
	errs := make([]error, spaces)
	var wg sync.WaitGroup
	for i := range spaces {
		wg.Go(func() {
			for n := range commits {
				b := store.Batch{Space: store.Space(i), Changes: []node.Record{
					Put("last", fmt.Sprint(n)), Put(fmt.Sprintf("%03d", n), "v"), Del(fmt.Sprintf("%03d", n-10)),
				}}
				if n%20 == 0 { // a space that only this goroutine drops
					b.Drop = []store.Space{store.Space(1000 + i)}
				}
				if err := s.Commit(t.Context(), b); err != nil {
					errs[i] = err

					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())

	s = Open(t.T, t.open)
	for i := range spaces {
		want := make([]string, 0, 11)
		for n := commits - 10; n < commits; n++ {
			want = append(want, fmt.Sprintf("\"%03d\"=\"v\"", n))
		}
		want = append(want, fmt.Sprintf("\"last\"=\"%d\"", commits-1))
		require.Equal(t, want, Records(t.T, s, store.Space(i)))
	}
}

// closeAwaitsCommits closes a store under load. Acknowledged commits are still there afterwards, and all others get
// ErrClosed.
func (t suite) closeAwaitsCommits() {
	const spaces = 4
	s := Open(t.T, t.open)
	acked, errs := make([]int, spaces), make([]error, spaces)
	begun := make(chan struct{}, spaces)
	var wg sync.WaitGroup
	for i := range spaces {
		wg.Go(func() {
			for errs[i] == nil {
				n := acked[i]
				errs[i] = s.Commit(t.Context(), store.Batch{
					Space: store.Space(i), Changes: []node.Record{Put(fmt.Sprintf("%06d", n), "v")},
				})
				if errs[i] == nil {
					acked[i]++
				}
				if n == 3 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range spaces {
		<-begun
	}
	require.NoError(t, s.Close())
	wg.Wait()

	s = Open(t.T, t.open)
	for i := range spaces {
		require.ErrorIs(t, errs[i], store.ErrClosed)
		require.Len(t, Records(t.T, s, store.Space(i)), acked[i])
	}
}
