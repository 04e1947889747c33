//go:build unix

package embedded

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/backup"
	"tenure/internal/bubbletest"
	"tenure/internal/serverconfig"
)

// The backup comes from the process that hosts the server, or from this one if there is none.
func TestBackup(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	host := open(t, dir)
	check := func() {
		var b bytes.Buffer
		require.NoError(t, Backup(t.Context(), Config{Dir: dir}, &b))
		_, err := backup.Check(&b)
		require.NoError(t, err)
	}
	asked := 0
	backsUp := host.here().admin.Backup
	host.here().admin.Backup = func(ctx context.Context, by serverconfig.Requester, w io.Writer) error {
		asked++

		return backsUp(ctx, by, w)
	}
	check()
	require.Equal(t, 1, asked)
	closed(t, host)
	check()
	require.Equal(t, 1, asked)
	requireFree(t, dir)

	missing := filepath.Join(dir, "missing")
	require.ErrorIs(t, Backup(t.Context(), Config{Dir: missing}, io.Discard), os.ErrNotExist)
	require.NoDirExists(t, missing)
}

// slowClient takes 2 s for each piece of an answer.
type slowClient struct{ *httptest.ResponseRecorder }

func (slowClient) SetWriteDeadline(time.Time) error { return nil }
func (slowClient) SetReadDeadline(time.Time) error  { return nil }

func (c slowClient) Write(b []byte) (int, error) {
	time.Sleep(2 * time.Second)

	return c.ResponseRecorder.Write(b)
}

// A client that hardly reads loses its backup, so that the host does not keep the records of that instant for it.
func TestHost_BackupOfASlowClient(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := &host{admin: &serverconfig.Admin{Backup: func(_ context.Context, _ serverconfig.Requester, w io.Writer) error {
			_, err := w.Write(make([]byte, 100<<20))

			return err
		}}}
		began := time.Now()
		require.PanicsWithValue(t, http.ErrAbortHandler, func() {
			h.serveBackup(slowClient{httptest.NewRecorder()},
				httptest.NewRequestWithContext(t.Context(), http.MethodGet, backupPath, http.NoBody))
		})
		require.Less(t, time.Since(began), time.Minute)
	})
}
