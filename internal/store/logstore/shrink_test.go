package logstore

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

// A file is cut off by at most pieceSize at a time. Each cut is durable before the next one, and a rest follows that is
// three times as long as the cut took.
func TestStore_Shrink(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		s, f := shrinkable(t, 3*pieceSize+1)
		var sizes []int64
		began := time.Now()
		synced := true
		f.truncated = func(size int64) error {
			require.True(t, synced)
			synced = false
			sizes = append(sizes, size)
			time.Sleep(time.Millisecond)

			return nil
		}
		f.synced = func() error {
			synced = true
			time.Sleep(time.Millisecond)

			return nil
		}
		s.shrink(t.Context(), share(f, "old"), newPacer(func() bool { return false }))
		require.Equal(t, []int64{2*pieceSize + 1, pieceSize + 1, headerSize}, sizes)
		require.True(t, synced)
		require.Equal(t, 3*8*time.Millisecond, time.Since(began))
	})
}

// The end of the context, and an error, end the work.
func TestStore_Shrink_Ends(t *testing.T) {
	t.Parallel()
	for _, why := range []string{"context", "truncate", "sync"} {
		s, f := shrinkable(t, 3*pieceSize)
		ctx, cancel := context.WithCancel(t.Context())
		cuts := 0
		f.truncated = func(int64) error {
			if cuts++; why == "truncate" {
				return context.Canceled // any error
			}

			return nil
		}
		f.synced = func() error {
			switch why {
			case "context":
				cancel()
			case "sync":
				return context.Canceled
			}

			return nil
		}
		s.shrink(ctx, share(f, "old"), newPacer(func() bool { return true }))
		require.Equal(t, 1, cuts, why)
		cancel()
	}
}

// shrinkable returns a file of the size.
func shrinkable(t *testing.T, size int) (*Store, *slowFile) {
	t.Helper()
	v := &memView{newMemDisk(), func(change) error { return nil }}
	f, err := v.Create("old")
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, size), 0)
	require.NoError(t, err)

	return &Store{opts: Options{}.withDefaults()}, &slowFile{file: f}
}

// slowFile calls functions before it changes a file.
type slowFile struct {
	file

	truncated func(size int64) error
	synced    func() error
}

func (f *slowFile) Truncate(size int64) error {
	if err := f.truncated(size); err != nil {
		return err
	}

	return f.file.Truncate(size)
}

func (f *slowFile) Sync() error {
	if err := f.synced(); err != nil {
		return err
	}

	return f.file.Sync()
}

// A merge cuts off the files that it removes, in pieces, but not a file that a Load still reads.
func TestStore_ShrinksWhatItRemoves(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	cut := make(map[string]int)
	var removed []string
	opts := hooked(newMemDisk().options(nil), func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		switch _, snap := snapshotKind.number(name); {
		case op == "truncate":
			cut[name]++
		case op == "remove" && snap:
			removed = append(removed, name)
		}

		return nil
	})
	s, err := Open(testDir, opts)
	require.NoError(t, err)
	value := strings.Repeat("v", 3<<10)
	fill := func() {
		for _, key := range []string{"1", "2", "3", "4", "5"} {
			b := store.Batch{Space: 1, Changes: []node.Record{storetest.Put(key, value)}}
			require.NoError(t, s.Commit(t.Context(), b))
		}
		idle(t, s)
	}
	for range 10 {
		fill()
	}
	mu.Lock()
	require.NotEmpty(t, removed, "there was no merge of a snapshot")
	most := 0
	for _, name := range removed {
		require.Positive(t, cut[name])
		most = max(most, cut[name])
	}
	require.Greater(t, most, 1)
	mu.Unlock()

	base := s.base.file.name
	records := 0
	for r, err := range s.Load(t.Context(), 1) {
		require.NoError(t, err)
		require.True(t, bytes.Equal([]byte(value), r.Value))
		if records++; records == 1 {
			for s.snapshotName() == base {
				b := store.Batch{Space: 1, Changes: []node.Record{storetest.Put("1", value)}}
				require.NoError(t, s.Commit(t.Context(), b))
			}
		}
	}
	require.Equal(t, 5, records)
	require.NoError(t, s.Close())
	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, removed, base)
	require.NotContains(t, cut, base)
}

// snapshotName returns the name of the snapshot.
func (s *Store) snapshotName() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.base.file.name
}
