package logstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

const testDir = "/var/lib/store"

var testSpaces = []store.Space{0, 1, 2, 3}

// testBatch returns the i-th batch of a workload, counted from 0. The batches include small and large ones, deletes and
// drops, and suffice for several merges.
func testBatch(i int) store.Batch {
	b := store.Batch{Space: store.Space(i % 3), Changes: []node.Record{
		storetest.Put("last", fmt.Sprint(i)),
		storetest.Put(fmt.Sprintf("%03d", i), strings.Repeat(string(rune('a'+i%26)), 100+i*37%900)),
		storetest.Del(fmt.Sprintf("%03d", i-9)),
	}}
	switch i % 10 {
	case 4:
		b.Space = 3
	case 5: // larger than a segment
		b.Changes = append(b.Changes, storetest.Put("large", strings.Repeat("l", 9000+i)))
	case 9:
		b.Drop = []store.Space{3}
	}

	return b
}

// workload opens a store, commits batches and reopens the store now and then. It counts the commits that it has begun
// and those that were acknowledged.
type workload struct {
	batches, reopenEvery int
	begun, acked         atomic.Int64
}

// run ends at the first error. It closes every store that it has opened.
func (w *workload) run(ctx context.Context, opts Options) (err error) {
	for from := 0; from < w.batches && err == nil; from += w.reopenEvery {
		var s *Store
		if s, err = Open(testDir, opts); err == nil {
			err = errors.Join(w.commit(ctx, s, from, min(from+w.reopenEvery, w.batches)), s.Close())
		}
	}

	return err
}

func (w *workload) commit(ctx context.Context, s *Store, from, to int) error {
	for i := from; i < to; i++ {
		w.begun.Add(1)
		if err := s.Commit(ctx, testBatch(i)); err != nil {
			if again := s.Commit(ctx, testBatch(i)); again == nil || again.Error() != err.Error() {
				return fmt.Errorf("a commit failed with %w, but the next one returned %v", err, again)
			}

			return err
		}
		w.acked.Add(1)
	}

	return nil
}

// history returns the models of the store after each number of test batches from 0 to batches.
func history(batches int) []storetest.Model {
	all := []storetest.Model{storetest.NewModel()}
	for i := range batches {
		m := all[i].Clone()
		m.Apply(testBatch(i))
		all = append(all, m)
	}

	return all
}

// contents loads the test spaces of the store into a model.
func contents(ctx context.Context, s store.Store) (storetest.Model, error) {
	all := storetest.NewModel()
	for _, space := range testSpaces {
		b := store.Batch{Space: space}
		for r, err := range s.Load(ctx, space) {
			if err != nil {
				return nil, err
			}
			b.Changes = append(b.Changes, storetest.Put(string(r.Key), string(r.Value)))
		}
		all.Apply(b)
	}

	return all, nil
}

// recovers opens the store on the disk, checks its contents and commits to it.
func recovers(ctx context.Context, opts Options, check func(storetest.Model) error) (err error) {
	s, err := Open(testDir, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	got, err := contents(ctx, s)
	if err == nil {
		err = check(got)
	}
	if err != nil {
		return err
	}

	return s.Commit(ctx, store.Batch{Space: 9, Changes: []node.Record{storetest.Put("x", "y")}})
}

// oneOf returns a check that the contents of a store equal one of the models.
func oneOf(models []storetest.Model) func(storetest.Model) error {
	return func(got storetest.Model) error {
		if slices.ContainsFunc(models, got.Equal) {
			return nil
		}

		return fmt.Errorf("the contents are none of the %d allowed states: got %v, the first one allowed is %v",
			len(models), got, models[0])
	}
}

// powerCut is a disk after a power cut.
type powerCut struct {
	disk   *memDisk
	before change // which the power cut prevented
	nth    int64  // the number of that change
	rng    *rand.Rand
	check  func(storetest.Model) error
}

// recovers checks that the store recovers from the cut, and from a second cut during that recovery.
func (c powerCut) recovers(ctx context.Context) error {
	var again *memDisk
	var changes atomic.Int64
	at := 1 + c.rng.Int64N(20)
	opts := c.disk.options(func(change) error {
		if changes.Add(1) == at {
			again = c.disk.cut(0.5, c.rng)
		}

		return nil
	})
	if err := recovers(ctx, opts, c.check); err != nil {
		return fmt.Errorf("power cut before change %d of the disk, %v: %w", c.nth, c.before, err)
	}
	if again == nil {
		return nil
	}
	if err := recovers(ctx, again.options(nil), c.check); err != nil {
		return fmt.Errorf("power cut before change %d of the disk, %v, and before change %d of the recovery: %w",
			c.nth, c.before, at, err)
	}

	return nil
}

// cutter simulates a power cut before each change of the disk. For each one it sends two copies of the disk to cuts:
// one without any unsynced data, and one with a random half of it.
type cutter struct {
	disk *memDisk
	seed uint64
	cuts chan powerCut

	// may is called before a cut, and the function that it returns is called after the cut. The resulting check accepts
	// the contents that the store may have after a cut between these two calls.
	may func() func() (check func(storetest.Model) error)

	changes atomic.Int64
	seen    sync.Map // has the operation of every change, with the extension of its file
}

func (p *cutter) before(c change) error {
	p.seen.Store(c.op+" "+filepath.Ext(c.name), true)
	nth := p.changes.Add(1)
	rng := func(use uint64) *rand.Rand { return rand.New(rand.NewPCG(p.seed+use, uint64(nth))) }
	after := p.may()
	half, bare := p.disk.cut(0.5, rng(0)), p.disk.cut(0, nil)
	check := after()
	p.cuts <- powerCut{half, c, nth, rng(1), check}
	p.cuts <- powerCut{bare, c, nth, rng(2), check}

	return nil
}

// run runs the workload, cuts the power before each change of the disk, and checks that the store recovers from each
// cut.
func (p *cutter) run(t *testing.T, workload func(Options) error) {
	t.Helper()
	p.disk, p.seed, p.cuts = newMemDisk(), rand.Uint64(), make(chan powerCut)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for c := range p.cuts {
				if err := c.recovers(t.Context()); err != nil {
					t.Errorf("seed %d: %v", p.seed, err)
				}
			}
		})
	}
	err := workload(p.disk.options(p.before))
	close(p.cuts)
	wg.Wait()
	require.NoError(t, err)
	t.Logf("%d changes of the disk", p.changes.Load())
}

// TestStore_PowerCut cuts the power before each change of the disk, such as a write, a sync or a rename, including
// those of the first Open, of merges and of reopens. It also cuts the power before a random change of each recovery.
func TestStore_PowerCut(t *testing.T) {
	t.Parallel()
	w := &workload{batches: 45, reopenEvery: 30}
	models := history(w.batches)
	p := &cutter{may: func() func() func(storetest.Model) error {
		acked := w.acked.Load()

		return func() func(storetest.Model) error { return oneOf(models[acked : w.begun.Load()+1]) }
	}}
	p.run(t, func(opts Options) error { return w.run(t.Context(), opts) })
	for _, kind := range []string{
		"write .log", "sync .log", "rename .new", "write .new", "remove .log", "remove .snapshot", "sync ",
	} {
		_, ok := p.seen.Load(kind)
		require.True(t, ok, "the workload has no %s", kind)
	}
}

// TestStore_PowerCutOfConcurrentCommits cuts the power during concurrent commits to three spaces, which share syncs.
func TestStore_PowerCutOfConcurrentCommits(t *testing.T) {
	t.Parallel()
	const spaces, batches = 3, 12
	batch := func(space, i int) store.Batch {
		return store.Batch{Space: store.Space(space), Changes: []node.Record{
			storetest.Put("first", fmt.Sprint(i)),
			storetest.Put(fmt.Sprint(i), strings.Repeat("v", 400)),
			storetest.Put("last", fmt.Sprint(i)),
		}}
	}
	var models [spaces][]storetest.Model
	for space := range spaces {
		models[space] = []storetest.Model{storetest.NewModel()}
		for i := range batches {
			m := models[space][i].Clone()
			m.Apply(batch(space, i))
			models[space] = append(models[space], m)
		}
	}
	var begun, acked [spaces]atomic.Int64
	p := &cutter{may: func() func() func(storetest.Model) error {
		var from, to [spaces]int64
		for i := range spaces {
			from[i] = acked[i].Load()
		}

		return func() func(storetest.Model) error {
			for i := range spaces {
				to[i] = begun[i].Load()
			}

			return func(got storetest.Model) error {
				for i := range spaces {
					space := store.Space(i)
					if err := oneOf(models[i][from[i] : to[i]+1])(storetest.Model{space: got[space]}); err != nil {
						return err
					}
				}

				return nil
			}
		}
	}}
	p.run(t, func(opts Options) error {
		s, err := Open(testDir, opts)
		if err != nil {
			return err
		}
		errs := make([]error, spaces)
		var wg sync.WaitGroup
		for space := range spaces {
			wg.Go(func() {
				for i := range batches {
					begun[space].Add(1)
					if errs[space] = s.Commit(t.Context(), batch(space, i)); errs[space] != nil {
						return
					}
					acked[space].Add(1)
				}
			})
		}
		wg.Wait()

		return errors.Join(append(errs, s.Close())...)
	})
}

// TestStore_FullDisk runs the workload once for each change of the disk that it makes, from the first Open on, and lets
// that change fail: either that one only, or that one and all later ones.
func TestStore_FullDisk(t *testing.T) {
	t.Parallel()
	for _, forGood := range []bool{false, true} {
		t.Run(fmt.Sprint("permanent ", forGood), func(t *testing.T) {
			t.Parallel()
			models := history(15)
			for nth := int64(1); ; nth++ {
				w := &workload{batches: 15, reopenEvery: 8}
				disk := newMemDisk()
				var changes, hits atomic.Int64
				var failed atomic.Value
				err := w.run(t.Context(), disk.options(func(c change) error {
					if n := changes.Add(1); n == nth || forGood && n > nth {
						if hits.Add(1) == 1 {
							failed.Store(c)
						}

						return syscall.ENOSPC
					}

					return nil
				}))
				if hits.Load() == 0 {
					require.NoError(t, err)
					t.Logf("%d changes", nth-1)

					break
				}
				what := fmt.Sprintf("change %d (%v)", nth, failed.Load())
				if err != nil {
					require.ErrorIs(t, err, syscall.ENOSPC, what)
				}
				check := oneOf(models[w.acked.Load() : w.begun.Load()+1])
				require.NoError(t, recovers(t.Context(), disk.options(nil), check), what)
			}
		})
	}
}

// A sync fails, and the system drops what it could not write, although it can still be read, as Linux does. The next
// process may keep these commits, but then a power cut must not take them away.
func TestStore_FailedSync(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	f := &failing{op: "sync", suffix: segmentKind.name(1), err: syscall.EIO}
	s, err := Open(testDir, hooked(d.options(nil), f.before))
	require.NoError(t, err)
	require.NoError(t, s.Commit(t.Context(), put("1")))
	f.on.Store(true)
	require.ErrorIs(t, s.Commit(t.Context(), put("2")), syscall.EIO)
	require.NoError(t, s.Close())
	d.entries[segmentKind.name(1)].writes = nil

	s, err = Open(testDir, d.options(nil))
	require.NoError(t, err)
	want := storetest.Records(t, s, 1)
	require.Len(t, want, 2)
	cut := d.cut(0, nil)
	require.NoError(t, s.Close())
	s, err = Open(testDir, cut.options(nil))
	require.NoError(t, err)
	require.Equal(t, want, storetest.Records(t, s, 1))
	require.NoError(t, s.Close())
}
