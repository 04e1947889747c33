package logstore

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

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
		op   string
		err  syscall.Errno
		says string
	}{
		{"create", syscall.ENOSPC, full},
		{"write", syscall.ENOSPC, full},
		{"write", syscall.EDQUOT, quota},
		{"create", syscall.EROFS, readOnly},
		{"mkdir", syscall.EACCES, user},
		{"lock", syscall.EACCES, user},
		{"open", syscall.EPERM, user},
		{"mkdir", syscall.ENOTDIR, "part of the path is a file: choose another directory"},
		{"lock", syscall.ENOLCK, noLocks},
		{"lock", syscall.ENOTSUP, noLocks},
		{"lock", syscall.ENOSYS, noLocks},
		{"lock", syscall.EINVAL, noLocks},
		{"list", syscall.EIO, broken},
		{"read", syscall.EIO, broken},
		{"stat", syscall.EIO, broken},
		{"lock", syscall.EMFILE, `check "/var/lib/store" and its disk`},
	} {
		for _, state := range []string{"new", "killed", "closed"} {
			t.Run(fmt.Sprintf("%s %s %d", state, test.op, test.err), func(t *testing.T) {
				t.Parallel()
				before, after := states[state], want
				if state == "new" {
					before, after = image{}, storetest.NewModel()
					if test.op == "read" || test.op == "stat" || test.op == "open" {
						t.Skip("a new store has nothing to read")
					}
				}
				mem, f := before.disk(), &failing{op: test.op, err: test.err}
				f.on.Store(true)
				for range 3 {
					_, err := Open(testDir, hooked(mem.options(nil), f.before))
					require.ErrorIs(t, err, test.err)
					require.Regexp(t, `^open store "/var/lib/store": [^\n]+ "/var/lib/store[^"]*": `+
						regexp.QuoteMeta(test.err.Error()+": "+test.says)+`$`, err.Error())
					require.Equal(t, before, mem.image())
					require.NotContains(t, mem.entries, ownerName, "no process has the store")
				}
				require.GreaterOrEqual(t, f.hits.Load(), int64(3))
				require.NoError(t, recovers(t.Context(), mem.options(nil), oneOf([]storetest.Model{after})))
			})
		}
	}
}

// TestOpen_FullDiskIsNotFilledFurther retries Open many times on a disk that becomes full, starting at each change in
// turn. The files that failed attempts leave do not accumulate.
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
			mem := img.disk()
			files := 0
			for attempt := range 8 {
				var changes atomic.Int64
				s, err := Open(testDir, mem.options(func(c change) error {
					if c.op != "remove" && changes.Add(1) >= nth {
						return syscall.ENOSPC
					}

					return nil
				}))
				if err == nil {
					done = true
					_ = s.Close()

					break
				}
				require.ErrorIs(t, err, syscall.ENOSPC)
				left := mem.image()
				for name := range left {
					require.False(t, strings.HasSuffix(name, newSuffix), "%s, change %d: %s", state, nth, name)
				}
				if attempt < 4 { // each of the first attempts builds on the previous ones and gets further
					files = max(files, len(left))
				}
				require.LessOrEqual(t, len(left), files, "%s, change %d: attempt %d", state, nth, attempt)
			}
			err := recovers(t.Context(), mem.options(nil), oneOf([]storetest.Model{want}))
			require.NoError(t, err, "%s, change %d", state, nth)
		}
	}
}
