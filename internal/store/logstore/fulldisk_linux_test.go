package logstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/store/storetest"
)

const tmpfsSize = 1 << 20

// tmpfs mounts a tmpfs of size tmpfsSize, which serves as a small disk.
func tmpfs(t *testing.T) (dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a tmpfs")
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", tmpfsSize)); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() { // then a store may be open, and the disk would be busy for ever
			require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH))

			return
		}
		require.NoError(t, unlessBusy(func() error { return syscall.Unmount(dir, 0) }))
	})

	return dir
}

// unlessBusy retries while the disk is busy. A process that another test starts inherits all open files and keeps them
// open until it executes its program.
func unlessBusy(do func() error) error {
	for {
		if err := do(); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		runtime.Gosched()
	}
}

// leastFiller is the least size of what fillDisk leaves, in pages. A store needs less to be opened.
const leastFiller = 32

// fillDisk creates a file that fills the disk except for the given number of pages. It waits while the disk has too
// little space for that: removed files take space until the processes that another test has just started have closed
// their copies of the descriptors.
func fillDisk(t *testing.T, disk string, pages int) (filler string) {
	t.Helper()
	page := os.Getpagesize()
	filler = filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	size := 0
	for err == nil || size < pages+leastFiller {
		if _, err = f.WriteAt(make([]byte, page), int64(size*page)); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			runtime.Gosched()

			continue
		}
		size++
	}
	require.NoError(t, f.Truncate(int64((size-pages)*page)))
	require.NoError(t, f.Close())

	return filler
}

// freeOn returns the free space of a disk.
func freeOn(t *testing.T, disk string) int64 {
	t.Helper()
	free, err := freeSpace(disk)
	require.NoError(t, err)

	return free
}

// A file that was removed, but is still open somewhere, does not disturb fillDisk. This test is for the other tests:
// each process that one of them starts has copies of all descriptors for a moment.
func TestFillDisk_RemovedFile(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t)
	f, err := os.Create(filepath.Join(disk, "removed"))
	require.NoError(t, err)
	_, err = f.Write(make([]byte, tmpfsSize-16*os.Getpagesize()))
	require.NoError(t, err)
	require.NoError(t, os.Remove(f.Name()))
	closed := make(chan error, 1)
	go func() {
		for free, err := freeSpace(disk); free > 0 && err == nil; free, err = freeSpace(disk) {
			runtime.Gosched()
		}
		closed <- f.Close()
	}()
	const pages = 20
	filler := fillDisk(t, disk, pages)
	require.NoError(t, <-closed)
	require.EqualValues(t, pages*os.Getpagesize(), freeOn(t, disk))
	emptyDisk(t, filler)
}

// commitAll commits the batches numbered from up to but not including to. It stops at the first error, and returns the
// number of the first batch that was not acknowledged.
func commitAll(ctx context.Context, s *Store, from, to int) (acked int, err error) {
	for acked = from; acked < to; acked++ {
		if err := s.Commit(ctx, numbered(acked)); err != nil {
			return acked, err
		}
	}

	return acked, nil
}

// TestStore_FullTmpfs fills a real disk except for 0, 1, 2 and more pages: before a store is created, while it is open,
// and before it is opened again. Every failure reports a full disk. Once there is space again, all acknowledged commits
// are there and the store works. The test uses a log size for which the disk has enough space to preallocate the log,
// and the usual size, for which it does not.
func TestStore_FullTmpfs(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{LogSize: 64 << 10}, {LogSize: SmallLog}} {
		t.Run(fmt.Sprint("log of ", opts.LogSize), func(t *testing.T) {
			t.Parallel()
			const levels = 60
			step := 1
			if testing.Short() {
				step = 6
			}
			disk := tmpfs(t)
			free := freeOn(t, disk)
			var failed fullDisk
			for pages := 0; pages < levels; pages += step {
				dir := filepath.Join(disk, fmt.Sprint("store", pages))
				failed.at(t, disk, dir, opts, pages)
				require.NoError(t, os.RemoveAll(dir))
				for freeOn(t, disk) < free { // see fillDisk
					runtime.Gosched()
				}
			}
			t.Logf("%d levels: %+v", levels, failed)
			require.Positive(t, min(failed.makes, failed.commits, failed.opens))
		})
	}
}

// emptyDisk removes the file of fillDisk. It gives back the space first, because a process that another test has just
// started may still have the file open.
func emptyDisk(t *testing.T, filler string) {
	t.Helper()
	require.NoError(t, os.Truncate(filler, 0))
	require.NoError(t, os.Remove(filler))
}

// fullDisk counts failed operations.
type fullDisk struct{ makes, commits, opens int }

// at runs the test once with the given number of free pages.
func (f *fullDisk) at(t *testing.T, disk, dir string, opts Options, pages int) {
	t.Helper()
	failed := func(err error, count *int) bool {
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorContains(t, err, fmt.Sprintf(": no space left on device: free some space on the disk of %q", dir))
			*count++
		}

		return err != nil
	}
	filler := fillDisk(t, disk, pages)
	s, err := Open(dir, opts)
	made := !failed(err, &f.makes)
	emptyDisk(t, filler)
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
	emptyDisk(t, filler)

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

// TestOpen_ReadOnlyDisk opens stores on a real disk that is read-only.
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
		require.ErrorContains(t, err, fmt.Sprintf(`: read-only file system: make the file system of %q writable, `+
			`or choose another directory`, dir))
	}
	require.NoError(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT, ""))
	s, err = Open(dir, Options{})
	require.NoError(t, err)
	require.Len(t, storetest.Records(t, s, 1), 1)
	require.NoError(t, s.Close())
}
