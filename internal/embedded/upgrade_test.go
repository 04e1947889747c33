//go:build unix

package embedded

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/store"
	"tenure/internal/store/logstore"
	"tenure/internal/store/storetest"
	"tenure/server"
)

// The names in the directory never change, because processes of different versions share it. Apart from these names,
// the processes depend only on the protocol.
func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"socket", "status", "LOCK"}, []string{socketName, statusName, lockName})
	require.Equal(t, "/d/lifelines/2c70e12b7a0646f92279f427c7b38e73", lifelinePath("/d", "key"))
}

// newer changes the store in the directory into one that only a later version can read.
func newer(t *testing.T, dir string) {
	t.Helper()
	storetest.MakeNewer(t, dir, 999)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "VERSION"), []byte("format 999, tenure v9.8.7\n"), 0o600))
}

// newerHost simulates a host of a later version: it has locked the store, which this version cannot read, and serves.
func newerHost(t *testing.T, dir string) (stop func()) {
	t.Helper()
	d, err := openDirectory(dir, "--dir")
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
		ctx, cancel := context.WithTimeout(context.Background(), farewell) //nolint:usetesting // for a clean shutdown
		defer cancel()
		require.NoError(t, srv.Stop(ctx)) // a client may have a connection that it has not used yet
		require.NoError(t, <-served)
		require.NoError(t, held.Close())
		require.NoError(t, d.close())
	}
}

// An older version can be a client of a newer host. When that host stops, the older version does not touch the store,
// reports which version is needed, and continues when another newer host serves.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	st, err := logstore.Open(dir, logstore.Options{})
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
