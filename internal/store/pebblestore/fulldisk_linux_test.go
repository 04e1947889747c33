package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

const tmpfsSize = 1 << 20

// tmpfs mounts a small disk.
func tmpfs(t *testing.T) (dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small disk")
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", tmpfsSize)); err != nil {
		t.Skipf("a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unlessBusy(func() error { return syscall.Unmount(dir, 0) })) })

	return dir
}

// unlessBusy tries again while the disk is busy: a process that another test starts has all open files until it has
// begun its program.
func unlessBusy(do func() error) error {
	for {
		if err := do(); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		runtime.Gosched()
	}
}

// fillDisk fills the disk but for so many pages, by a file that can be removed.
func fillDisk(t *testing.T, disk string, pages int) (filler string) {
	t.Helper()
	page := os.Getpagesize()
	filler = filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, page))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	at, err := f.Seek(0, io.SeekEnd)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(at-int64(pages*page)))
	require.NoError(t, f.Close())

	return filler
}

func numbered(i int) store.Batch {
	return store.Batch{Space: 1, Changes: []node.Record{{Key: fmt.Appendf(nil, "%06d", i), Value: make([]byte, 200)}}}
}

// commitAll commits batches until that fails or there are enough, and returns how many were acknowledged.
func commitAll(ctx context.Context, s *Store, from, to int) (acked int, err error) {
	for acked = from; acked < to; acked++ {
		if err := s.Commit(ctx, numbered(acked)); err != nil {
			return acked, err
		}
	}

	return acked, nil
}

// TestStore_FullTmpfs fills a real disk to the last page, and to every number of pages before that: before a store is
// made, while it is open, and before it is opened again. What fails says so; when there is room again, every
// acknowledged commit is there and the store works. A log gets its space beforehand or, with the usual size, does not.
func TestStore_FullTmpfs(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{LogSize: 64 << 10}, {LogSize: SmallLog}} {
		t.Run(fmt.Sprint("log of ", opts.LogSize), func(t *testing.T) {
			t.Parallel()
			const levels = 60
			disk := tmpfs(t)
			var failed fullDisk
			for pages := range levels {
				dir := filepath.Join(disk, fmt.Sprint("store", pages))
				failed.at(t, disk, dir, opts, pages)
				require.NoError(t, os.RemoveAll(dir))
			}
			t.Logf("%d levels: %+v", levels, failed)
			require.Positive(t, min(failed.makes, failed.commits, failed.opens))
		})
	}
}

// fullDisk counts what has failed.
type fullDisk struct{ makes, commits, opens int }

// at leaves so many pages, again and again.
func (f *fullDisk) at(t *testing.T, disk, dir string, opts Options, pages int) {
	t.Helper()
	failed := func(err error, count *int) bool {
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorContains(t, err, fmt.Sprintf("the disk of %q is full: make room on it", dir))
			*count++
		}

		return err != nil
	}
	filler := fillDisk(t, disk, pages)
	s, err := Open(dir, opts)
	made := !failed(err, &f.makes)
	require.NoError(t, os.Remove(filler))
	if !made {
		s, err = Open(dir, opts)
		require.NoError(t, err)
	}

	acked, err := commitAll(t.Context(), s, 0, 50)
	require.NoError(t, err)
	filler = fillDisk(t, disk, pages)
	acked, err = commitAll(t.Context(), s, acked, 2000)
	failed(err, &f.commits)
	require.NoError(t, s.Close())

	begun := acked + 1
	for range 3 {
		if s, err = Open(dir, opts); failed(err, &f.opens) {
			continue
		}
		have := len(storetest.Records(t, s, 1))
		require.GreaterOrEqual(t, have, acked)
		acked, err = commitAll(t.Context(), s, have, have+100)
		failed(err, &f.commits)
		begun = acked + 1
		require.NoError(t, s.Close())
	}
	require.NoError(t, os.Remove(filler))

	s, err = Open(dir, opts)
	require.NoError(t, err)
	got := storetest.Records(t, s, 1)
	require.GreaterOrEqual(t, len(got), acked)
	require.LessOrEqual(t, len(got), begun)
	for i := range got {
		require.Contains(t, got[i], fmt.Sprintf("%06d", i))
	}
	_, err = commitAll(t.Context(), s, len(got), len(got)+1)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// TestOpen_ReadOnlyDisk has a real disk that can't be written.
func TestOpen_ReadOnlyDisk(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t)
	dir := filepath.Join(disk, "store")
	s, err := Open(dir, Options{LogSize: 64 << 10})
	require.NoError(t, err)
	require.NoError(t, s.Commit(t.Context(), numbered(0)))
	require.NoError(t, s.Close())
	require.NoError(t, unlessBusy(func() error {
		return syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}))
	for _, name := range []string{"store", "other"} {
		dir := filepath.Join(disk, name)
		_, err := Open(dir, Options{})
		require.ErrorIs(t, err, syscall.EROFS)
		require.ErrorContains(t, err, fmt.Sprintf(`: read-only file system: the file system of %q is read-only: make it `+
			`writable, or choose another directory`, dir))
	}
	require.NoError(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT, ""))
	s, err = Open(dir, Options{})
	require.NoError(t, err)
	require.Len(t, storetest.Records(t, s, 1), 1)
	require.NoError(t, s.Close())
}
