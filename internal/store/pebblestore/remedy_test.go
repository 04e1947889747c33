package pebblestore

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"tenure/internal/store/storetest"
)

// TestOpen_SaysWhatToDo makes one kind of operation fail, for a new store, for one whose process was killed, and for a
// closed one. The error is one line, Open leaves the files unchanged, and the store can be opened once the cause is
// gone.
func TestOpen_SaysWhatToDo(t *testing.T) {
	t.Parallel()
	user := fmt.Sprintf(`give user %d read and write access to "/var/lib/store", or choose another directory`, os.Getuid())
	noLocks := `the file system of "/var/lib/store" does not support file locks: choose a directory on a local disk`
	states, want := damageable(t)
	full := `free some space on the disk of "/var/lib/store"`
	quota := `free some space on the disk of "/var/lib/store", or have the quota raised`
	readOnly := `make the file system of "/var/lib/store" writable, or choose another directory`
	broken := `the disk of "/var/lib/store" is failing: check the system log, then repair or replace the disk`
	for _, test := range []struct {
		kind errorfs.OpKind
		err  syscall.Errno
		says string
	}{
		{errorfs.OpCreate, syscall.ENOSPC, full},
		{errorfs.OpFileWrite, syscall.ENOSPC, full},
		{errorfs.OpFileWrite, syscall.EDQUOT, quota},
		{errorfs.OpCreate, syscall.EROFS, readOnly},
		{errorfs.OpMkdirAll, syscall.EACCES, user},
		{errorfs.OpLock, syscall.EACCES, user},
		{errorfs.OpOpen, syscall.EPERM, user},
		{errorfs.OpMkdirAll, syscall.ENOTDIR, "part of the path is a file: choose another directory"},
		{errorfs.OpLock, syscall.ENOLCK, noLocks},
		{errorfs.OpLock, syscall.ENOTSUP, noLocks},
		{errorfs.OpLock, syscall.ENOSYS, noLocks},
		{errorfs.OpLock, syscall.EINVAL, noLocks},
		{errorfs.OpStat, syscall.EIO, broken},
		{errorfs.OpFileSync, syscall.EIO, broken},
		{errorfs.OpLock, syscall.EMFILE, `check "/var/lib/store" and its disk`},
	} {
		for _, state := range []string{"new", "killed", "closed"} {
			t.Run(fmt.Sprintf("%s kind %d %d", state, test.kind, test.err), func(t *testing.T) {
				t.Parallel()
				mem := vfs.NewMem()
				require.NoError(t, mem.MkdirAll(testDir, 0o700))
				before, after := states[state], want
				before.on(t, mem)
				if state == "new" {
					before, after = image{}, history(0)[0]
				}
				disk, on, hits := failing(mem, test.kind, "", test.err)
				on.Store(true)
				for range 3 {
					_, err := Open(testDir, testOptions(disk))
					require.ErrorIs(t, err, test.err)
					require.Regexp(t, `^open store "/var/lib/store": [^\n]+ "/var/lib/store[^"]*": `+
						regexp.QuoteMeta(test.err.Error()+": "+test.says)+`$`, err.Error())
					require.Equal(t, before, imageOf(t, mem, testDir))
					names, err := mem.List(testDir)
					require.NoError(t, err)
					require.NotContains(t, names, ownerName, "no process has the store")
					require.NotContains(t, names, newName)
				}
				require.GreaterOrEqual(t, hits.Load(), int64(3))
				require.NoError(t, recovers(t.Context(), mem, oneOf([]storetest.Model{after})))
			})
		}
	}
}

// TestOpen_FullDiskIsNotFilledFurther retries Open many times on a disk that becomes full, starting at each change in
// turn. The files that failed attempts leave do not accumulate, and files that a marker refers to are never removed.
func TestOpen_FullDiskIsNotFilledFurther(t *testing.T) {
	t.Parallel()
	states, full := damageable(t)
	states["new"] = image{}
	for state, img := range states {
		want := full
		if state == "new" {
			want = storetest.NewModel()
		}
		for nth, done := int64(1), false; !done; nth++ {
			mem := vfs.NewMem()
			img.on(t, mem)
			files := 0
			for attempt := range 12 {
				var changes atomic.Int64
				s, err := Open(testDir, testOptions(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
					removes := op.Kind == errorfs.OpRemove || op.Kind == errorfs.OpRemoveAll // possible on a full disk
					if isChange(op) && !removes && changes.Add(1) >= nth {
						return &os.PathError{Op: "change", Path: op.Path, Err: syscall.ENOSPC}
					}

					return nil
				}))))
				if err == nil {
					done = true
					_ = s.Close()

					break
				}
				require.ErrorIs(t, err, syscall.ENOSPC)
				left, _ := mem.List(testDir)
				require.NotContains(t, strings.Join(left, " "), newSuffix, "%s, change %d", state, nth)
				now := len(left)
				if names, err := mem.List(mem.PathJoin(testDir, dbName)); err == nil {
					now += len(names)
				}
				if attempt < 4 { // each of the first attempts builds on the previous ones and gets further
					files = max(files, now)
				}
				require.LessOrEqual(t, now, files, "%s, change %d: attempt %d", state, nth, attempt)
			}
			require.NoError(t, recovers(t.Context(), mem, oneOf([]storetest.Model{want})), "%s, change %d", state, nth)
		}
	}
}
