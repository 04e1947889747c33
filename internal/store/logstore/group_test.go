package logstore

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

// TestCommit_SharesSyncs blocks the sync of one commit until all others wait for theirs. A single further sync must
// then be enough for all of them.
func TestCommit_SharesSyncs(t *testing.T) {
	t.Parallel()
	const others = 8
	hold, held := make(chan struct{}), make(chan struct{})
	var on atomic.Bool
	var syncs atomic.Int64
	s, err := Open(testDir, hooked(newMemDisk().options(nil), func(op, name string) error {
		if op == "sync" && name == segmentKind.name(1) && on.Load() && syncs.Add(1) == 1 {
			close(held)
			<-hold
		}

		return nil
	}))
	require.NoError(t, err)
	on.Store(true)

	var wg sync.WaitGroup
	var errs [others + 1]error
	commit := func(i int) {
		wg.Go(func() {
			errs[i] = s.Commit(t.Context(), store.Batch{
				Space: store.Space(i), Changes: []node.Record{storetest.Put("k", "v")},
			})
		})
	}
	commit(0)
	<-held
	for i := range others {
		commit(1 + i)
	}
	awaitCommits(s, others+1)
	close(hold)
	wg.Wait()
	require.NoError(t, errors.Join(errs[:]...))
	require.Equal(t, int64(2), syncs.Load())
	require.NoError(t, s.Close())
}

// TestClose_DuringBackgroundWork closes the store in the middle of a merge, and of the creation of a spare segment.
// Close does not wait for the rest of that work, and nothing is lost.
func TestClose_DuringBackgroundWork(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"write", "sync", "rename"} {
		for _, kind := range []kind{segmentKind, snapshotKind} {
			t.Run(fmt.Sprint(op, kind.suffix), func(t *testing.T) {
				t.Parallel()
				const batches = 20
				mem := newMemDisk()
				held, hold := make(chan struct{}), make(chan struct{})
				var on atomic.Bool
				var once sync.Once
				s, err := Open(testDir, hooked(mem.options(nil), func(at, name string) error {
					number, whole := kind.number(name)
					if at != "rename" {
						number, whole = kind.number(trimNew(name))
					}
					if !on.Load() || at != op || !whole || kind == segmentKind && number == 1 {
						return nil
					}
					once.Do(func() {
						close(held)
						<-hold
					})

					return nil
				}))
				require.NoError(t, err)
				idle(t, s)
				on.Store(true)
				for i := range batches {
					require.NoError(t, s.Commit(t.Context(), testBatch(i)))
				}
				<-held
				closed := make(chan error)
				go func() { closed <- s.Close() }()
				awaitRefusal(t, s)
				close(hold)
				require.NoError(t, <-closed)
				require.NoError(t, recovers(t.Context(), mem.options(nil), oneOf(history(batches)[batches:])))
			})
		}
	}
}

// trimNew returns the final name of a file that is being written.
func trimNew(name string) string {
	if n := len(name) - len(newSuffix); n > 0 && name[n:] == newSuffix {
		return name[:n]
	}

	return ""
}

// awaitRefusal waits until the store refuses new calls.
func awaitRefusal(t *testing.T, s *Store) {
	t.Helper()
	for !errors.Is(s.Commit(t.Context(), store.Batch{}), store.ErrClosed) {
		continue
	}
}

// A commit whose frame would not fit into a segment at all is refused before anything is written, and so is one whose
// encoding exceeds the limit. The store continues.
func TestCommit_TooLarge(t *testing.T) {
	t.Parallel()
	s, err := Open(testDir, newMemDisk().options(nil))
	require.NoError(t, err)
	value := make([]byte, maxPayload/8)
	b := store.Batch{Space: 1}
	for i := range 9 { // the memory of the value is shared
		b.Changes = append(b.Changes, node.Record{Key: []byte{byte(i)}, Value: value})
	}
	err = s.Commit(t.Context(), b)
	require.EqualError(t, err, `store "/var/lib/store": commit to space 1: the batch has 1207959761 bytes, and the limit `+
		"is 1073741824")
	require.NoError(t, s.Commit(t.Context(), put("k")))
	require.NoError(t, s.Close())
}

// A failed write leaves a part of a frame in the middle of the segment. The next process does not take it for a commit.
func TestCommit_PartOfAWrite(t *testing.T) {
	t.Parallel()
	mem := newMemDisk()
	f := &failing{op: "sync", suffix: segmentKind.name(1), err: syscall.EIO}
	s, err := Open(testDir, hooked(mem.options(nil), f.before))
	require.NoError(t, err)
	require.NoError(t, s.Commit(t.Context(), put("1")))
	f.on.Store(true)
	require.ErrorIs(t, s.Commit(t.Context(), put("2")), syscall.EIO)
	require.NoError(t, s.Close())
	img := mem.image()
	log := img[segmentKind.name(1)]
	end := 0
	for at := headerSize; at < len(log); at++ {
		if log[at] != 0 {
			end = at
		}
	}
	for cut := end; cut > end-frameHeader; cut-- {
		torn := append([]byte(nil), log...)
		clear(torn[cut:])
		s, err := Open(testDir, img.with(segmentKind.name(1), torn).disk().options(nil))
		require.NoError(t, err)
		require.Equal(t, []string{`"1"="v"`}, storetest.Records(t, s, 1))
		require.NoError(t, s.Close())
	}
}

// While many nodes commit large data, a small batch of another node waits for little of it. Each sync waits until the
// test lets it go on, so the test knows how many bytes are written from the arrival of the small batch to its answer.
func TestCommit_SmallBatchesWaitForLittle(t *testing.T) {
	t.Parallel()
	const nodes = 8
	for _, size := range []int{100 << 10, 300 << 10, 1 << 20, 4 << 20} {
		t.Run(fmt.Sprint(size>>10, "KiB"), func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				step, on := make(chan struct{}), false
				s, err := Open(testDir, hooked(newMemDisk().options(nil), func(op, name string) error {
					if _, segment := segmentKind.number(name); segment && op == "sync" && on {
						<-step
					}

					return nil
				}))
				require.NoError(t, err)
				idle(t, s)
				on = true
				var wg sync.WaitGroup
				commit := func(space store.Space, size int, done func()) {
					batch := store.Batch{Space: space, Changes: []node.Record{storetest.Put("k", strings.Repeat("v", size))}}
					wg.Go(func() {
						require.NoError(t, s.Commit(t.Context(), batch))
						done()
					})
					synctest.Wait()
				}
				written := func() int {
					s.mu.Lock()
					defer s.mu.Unlock()

					return len(s.pending.frames) + s.flying
				}
				for i := range store.Space(3 * nodes) {
					commit(1+i%nodes, size, func() {})
				}
				for range 3 {
					answered, behind := false, written()
					commit(100, 10, func() { answered = true })
					for !answered {
						behind = max(behind, written())
						step <- struct{}{}
						synctest.Wait()
					}
					require.LessOrEqual(t, behind, max(maxLarge, size)+smallBatch)
				}
				close(step)
				wg.Wait()
				for i := range store.Space(nodes) {
					require.Len(t, storetest.Records(t, s, 1+i), 1)
				}
				require.NoError(t, s.Close())
			})
		})
	}
}

// Large batches enter in the order in which they arrived, and small ones cannot keep them from entering.
func TestCommit_LargeBatchesInTurn(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		step, on := make(chan struct{}), false
		s, err := Open(testDir, hooked(newMemDisk().options(nil), func(op, name string) error {
			if _, segment := segmentKind.number(name); segment && op == "sync" && on {
				<-step
			}

			return nil
		}))
		require.NoError(t, err)
		idle(t, s)
		on = true
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		commit := func(space, size int) {
			batch := store.Batch{
				Space: store.Space(space), Changes: []node.Record{storetest.Put("k", strings.Repeat("v", size))},
			}
			wg.Go(func() {
				require.NoError(t, s.Commit(t.Context(), batch))
				if size > smallBatch {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, space)
				}
			})
			synctest.Wait()
		}
		for i := range 5 {
			commit(1+i, 1<<20)
		}
		for small := 10; len(order) < 5; small++ {
			require.Less(t, small, 30)
			commit(small, 10)
			step <- struct{}{}
			synctest.Wait()
		}
		require.Equal(t, []int{1, 2, 3, 4, 5}, order)
		close(step)
		wg.Wait()
		require.NoError(t, s.Close())
	})
}
