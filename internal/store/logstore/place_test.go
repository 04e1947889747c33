//go:build unix

package logstore

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Another process can open a store at the path of a directory that was removed or renamed, so a commit after that must
// not be acknowledged.
func TestStore_StopsWhenItsDirectoryIsGone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"removed":  os.RemoveAll,
		"renamed":  func(dir string) error { return os.Rename(dir, dir+".old") },
		"replaced": func(dir string) error { return os.Rename(filepath.Join(dir, LockName), dir+".lock") },
	} {
		for _, look := range []string{"commit", "look"} {
			t.Run(name+", "+look, func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "store")
				s, err := Open(dir, Options{})
				require.NoError(t, err)
				defer s.Close()
				batch := store.Batch{Space: 1, Changes: []node.Record{{Key: []byte("k"), Value: []byte("v")}}}
				require.NoError(t, s.Commit(t.Context(), batch))
				require.NoError(t, s.InPlace())

				idle(t, s) // it makes no file in the directory meanwhile
				require.NoError(t, change(dir))
				if look == "look" {
					err = s.InPlace()
				} else {
					err = s.Commit(t.Context(), batch)
				}
				want := `store "` + dir + `" has stopped: "` + filepath.Join(dir, LockName) + `" was removed or replaced: ` +
					"do not change the directory while a process uses it"
				require.EqualError(t, err, want)
				require.EqualError(t, s.Commit(t.Context(), batch), want)
				require.EqualError(t, s.InPlace(), want)
			})
		}
	}
}

// Open refuses a FIFO in the place of each of its files, and does not wait for the other end.
func TestOpen_DoesNotWaitForAFIFO(t *testing.T) {
	t.Parallel()
	for _, name := range []string{LockName, ownerName, stampName, ledgerName, segmentKind.name(1), segmentKind.name(2)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			s, err := Open(dir, Options{})
			require.NoError(t, err)
			require.NoError(t, s.Close())
			path := filepath.Join(dir, name)
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, syscall.Mkfifo(path, 0o600))

			_, found := Owner(dir)
			require.False(t, found)
			s, err = Open(dir, Options{})
			if err == nil { // it has replaced the file
				require.NoError(t, s.Close())

				return
			}
			require.ErrorContains(t, err, "not a regular file")
			require.ErrorContains(t, err, name)
		})
	}
}
