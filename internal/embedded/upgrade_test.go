//go:build unix

package embedded

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/store"
	"tenure/internal/store/pebblestore"
	"tenure/server"
)

// What processes of different versions agree on, for ever: the names in the directory. The rest is the protocol.
func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"socket", "status", "LOCK"}, []string{socketName, statusName, lockName})
	require.Equal(t, "/d/lifelines/2c70e12b7a0646f92279f427c7b38e73", lifelinePath("/d", "key"))
}

// newer makes the store in the directory one that only a later version reads.
func newer(t *testing.T, dir string) {
	t.Helper()
	markers, err := filepath.Glob(filepath.Join(dir, "pebble", "marker.format-version.*"))
	require.NoError(t, err)
	require.Len(t, markers, 1)
	require.NoError(t, os.Rename(markers[0], strings.TrimSuffix(markers[0], filepath.Ext(markers[0]))+".999"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "VERSION"), []byte("format 2, tenure v9.8.7\n"), 0o600))
}

// newerHost stands for a later version: it has the store, which this one can't read, and serves.
func newerHost(t *testing.T, dir string) (stop func()) {
	t.Helper()
	d, err := openDirectory(dir)
	require.NoError(t, err)
	held, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	require.NoError(t, err)
	locked, err := tryLock(held)
	require.NoError(t, err)
	require.True(t, locked)
	srv, err := server.New()
	require.NoError(t, err)
	s, err := d.listen(socketName)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(s) }()

	return func() {
		require.NoError(t, srv.Stop(context.Background())) //nolint:usetesting // it is to end in order
		require.NoError(t, <-served)
		require.NoError(t, held.Close())
		require.NoError(t, d.close())
	}
}

// An older version is a client of a newer host like any other. When that goes, it leaves the store alone, says which
// version is needed, and goes on when one is there.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	st, err := pebblestore.Open(dir, pebblestore.Options{})
	require.NoError(t, err)
	require.NoError(t, st.Close())
	newer(t, dir)

	_, err = Open(t.Context(), Config{Dir: dir})
	require.ErrorIs(t, err, store.ErrNewer)
	require.ErrorContains(t, err, "tenure v9.8.7")

	stop := newerHost(t, dir)
	notices := make(chan string, 10)
	l, err := Open(t.Context(), Config{Dir: dir, Notice: func(line string) { notices <- line }})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close(t.Context())) }()
	stop()

	dialled := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn, err := l.Dial(ctx)
		if err == nil {
			err = conn.Close()
		}
		dialled <- err
	}()
	require.Contains(t, <-notices, "tenure v9.8.7")
	stop = newerHost(t, dir)
	require.NoError(t, <-dialled)
	stop()
}
