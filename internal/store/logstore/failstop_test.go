package logstore

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

func put(key string) store.Batch {
	return store.Batch{Space: 1, Changes: []node.Record{storetest.Put(key, "v")}}
}

// TestCommit_ReportsDiskErrors checks the whole message, and that the store stays stopped until it is opened again.
func TestCommit_ReportsDiskErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		op, suffix string
		err        error
		says       string
	}{
		"full": {
			"write", ".log", syscall.ENOSPC, `write "/var/lib/store/00000001.log": no space left on device: ` +
				`free some space on the disk of "/var/lib/store"`,
		},
		"quota": {
			"write", ".log", syscall.EDQUOT, `write "/var/lib/store/00000001.log": disk quota exceeded: ` +
				`free some space on the disk of "/var/lib/store", or have the quota raised`,
		},
		"read-only": {
			"write", ".log", syscall.EROFS, `write "/var/lib/store/00000001.log": read-only file system: ` +
				`make the file system of "/var/lib/store" writable, or choose another directory`,
		},
		"broken": {
			"sync", ".log", syscall.EIO, `sync "/var/lib/store/00000001.log": input/output error: ` +
				`the disk of "/var/lib/store" is failing: check the system log, then repair or replace the disk`,
		},
		"ledger": {
			"write", "ACKED", syscall.EFBIG, `write "/var/lib/store/ACKED": file too large: ` +
				`check "/var/lib/store" and its disk`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mem, f := newMemDisk(), &failing{op: test.op, suffix: test.suffix, err: test.err}
			s, err := Open(testDir, hooked(mem.options(nil), f.before))
			require.NoError(t, err)
			require.NoError(t, s.Commit(t.Context(), put("1")))
			idle(t, s)
			f.on.Store(true)

			says := `store "/var/lib/store" has stopped: ` + test.says
			err = s.Commit(t.Context(), put("2"))
			require.ErrorIs(t, err, test.err)
			require.EqualError(t, err, says)
			f.on.Store(false) // too late
			require.EqualError(t, s.Commit(t.Context(), put("3")), says)
			for _, err := range s.Load(t.Context(), 1) {
				require.EqualError(t, err, says)
			}
			require.Equal(t, int64(1), f.hits.Load(), "the store does not retry")
			require.NoError(t, s.Close())
			require.ErrorIs(t, s.Commit(t.Context(), put("3")), store.ErrClosed)

			s, err = Open(testDir, mem.options(nil))
			require.NoError(t, err)
			got := storetest.Records(t, s, 1)
			require.Contains(t, got, `"1"="v"`)
			require.NotContains(t, got, `"3"="v"`)
			require.NoError(t, s.Commit(t.Context(), put("4")))
			require.NoError(t, s.Close())
		})
	}
}

// Commits that wait for the leader get its error, and so do those that have not been written yet.
func TestCommit_FailsForAll(t *testing.T) {
	t.Parallel()
	hold, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	on := false
	s, err := Open(testDir, hooked(newMemDisk().options(nil), func(op, name string) error {
		if op != "sync" || name != segmentKind.name(1) || !on {
			return nil
		}
		once.Do(func() { close(held) })
		<-hold

		return syscall.EIO
	}))
	require.NoError(t, err)
	on = true
	const all = 6
	errs := make(chan error, all)
	for i := range all {
		go func() {
			if i > 0 {
				<-held
			}
			errs <- s.Commit(t.Context(), store.Batch{Space: store.Space(i), Changes: put("k").Changes})
		}()
	}
	<-held
	awaitCommits(s, all)
	close(hold)
	for range all {
		require.ErrorIs(t, <-errs, syscall.EIO)
	}
	require.NoError(t, s.Close())
}

// awaitCommits waits until the store has numbered this many commits.
func awaitCommits(s *Store, count uint64) {
	for numbered := uint64(0); numbered < count; runtime.Gosched() {
		s.mu.Lock()
		numbered = s.commits
		s.mu.Unlock()
	}
}

// A failure of background work does not stop the store. It is logged once, and the work is tried again.
func TestStore_BackgroundWorkIsRetried(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		op, suffix string
		err        error
		says       string
	}{
		"spare, no space": {
			"write", "2.log.new", syscall.ENOSPC, `"cannot create the next file of the log" directory=/var/lib/store ` +
				`error="create \"/var/lib/store/00000002.log\": no space left on device"`,
		},
		"spare, no descriptors": {
			"create", "2.log.new", syscall.EMFILE, `"cannot create the next file of the log" directory=/var/lib/store ` +
				`error="create \"/var/lib/store/00000002.log\": too many open files"`,
		},
		"merge, no space": {
			"write", ".snapshot.new", syscall.ENOSPC, `"cannot merge old files of the log" directory=/var/lib/store ` +
				`error="write \"/var/lib/store/00000001.snapshot\": no space left on device"`,
		},
		"merge, no descriptors": {
			"create", ".snapshot.new", syscall.EMFILE, `"cannot merge old files of the log" directory=/var/lib/store ` +
				`error="create \"/var/lib/store/00000001.snapshot.new\": too many open files"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				const batches = 40
				var log bytes.Buffer
				mem, f := newMemDisk(), &failing{op: test.op, suffix: test.suffix, err: test.err}
				f.on.Store(true)
				opts := hooked(mem.options(nil), f.before)
				opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
				s, err := Open(testDir, opts)
				require.NoError(t, err)
				defer s.Close()
				for i := range batches {
					require.NoError(t, s.Commit(t.Context(), testBatch(i)))
					synctest.Wait()
				}
				time.Sleep(time.Minute) // in virtual time
				require.Greater(t, f.hits.Load(), int64(5))
				synctest.Wait()
				require.Regexp(t, `^time=[^ ]* level=WARN msg=`+regexp.QuoteMeta(test.says)+"\n$", log.String())
				for name := range mem.image() {
					require.NotContains(t, name, newSuffix)
				}
				f.on.Store(false)
				time.Sleep(time.Minute)
				synctest.Wait()
				idle(t, s)
				for i := range batches {
					require.NoError(t, s.Commit(t.Context(), testBatch(i)))
					synctest.Wait()
				}
				idle(t, s)
				got, err := contents(t.Context(), s)
				require.NoError(t, err)
				require.NoError(t, s.Close())
				require.NoError(t, recovers(t.Context(), mem.options(nil), oneOf([]storetest.Model{got})))
			})
		})
	}
}

func TestOpen_FullDisk(t *testing.T) {
	t.Parallel()
	mem, f := newMemDisk(), &failing{op: "write", suffix: ".log.new", err: syscall.ENOSPC}
	f.on.Store(true)
	opts := hooked(mem.options(nil), f.before)
	_, err := Open(testDir, opts)
	require.EqualError(t, err, `open store "/var/lib/store": create "/var/lib/store/00000001.log": `+
		`no space left on device: free some space on the disk of "/var/lib/store"`)
	require.Positive(t, f.hits.Load())

	f.on.Store(false)
	s, err := Open(testDir, opts)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// A store whose log is full, and for which no segment can be created, cannot be opened. Otherwise its first commit
// would fail. What an earlier process has left is removed, because it may take the space that is needed.
func TestOpen_NeedsRoomForCommits(t *testing.T) {
	t.Parallel()
	mem, f := newMemDisk(), &failing{op: "create", suffix: ".log.new", err: syscall.ENOSPC}
	opts := hooked(mem.options(nil), f.before)
	s, err := Open(testDir, opts)
	require.NoError(t, err)
	idle(t, s)
	f.on.Store(true)
	for i := 0; ; i++ {
		require.NoError(t, s.Commit(t.Context(), numbered(i)))
		s.mu.Lock()
		newest := s.segments[len(s.segments)-1]
		full := s.spare == nil && newest.size-newest.end < 300
		s.mu.Unlock()
		if full {
			break
		}
	}
	want := storetest.Records(t, s, 1)
	require.NoError(t, s.Close())
	const left = "00000099.snapshot" + newSuffix
	img := mem.image().with(left, []byte("of a killed process"))

	again := img.disk()
	_, err = Open(testDir, hooked(again.options(nil), f.before))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, `.log": no space left on device: free some space on the disk of "/var/lib/store"`)
	require.Equal(t, img.with(left, nil), again.image())

	f.on.Store(false)
	s, err = Open(testDir, again.options(nil))
	require.NoError(t, err)
	require.Equal(t, want, storetest.Records(t, s, 1))
	require.NoError(t, s.Close())
}

func numbered(i int) store.Batch {
	return store.Batch{Space: 1, Changes: []node.Record{storetest.Put(numberedKey(i), strings.Repeat("v", 200))}}
}

func numberedKey(i int) string { return fmt.Sprintf("%06d", i) }
