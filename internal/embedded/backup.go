package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"tenure/internal/clock"
	"tenure/internal/paced"
	"tenure/internal/serverconfig"
)

// backupPath is the path of requests for a backup. A host of an earlier version answers them with its report.
const (
	backupPath = "/backup"
	backupType = "application/octet-stream"
)

// Backup writes a backup of the embedded server of the state directory c.Dir to w. The caller must check that it is
// complete. If no process hosts the server, this one does meanwhile. A directory that is missing is an error.
func Backup(ctx context.Context, c Config, w io.Writer) error {
	if path, err := filepath.Abs(c.Dir); err == nil {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("state directory %q does not exist, so there is nothing to back up: choose another with %s: %w",
				path, cmp.Or(c.DirSetting, "tenure.WithDir"), fs.ErrNotExist)
		}
	}
	l, err := Open(ctx, c)
	if err != nil {
		return err
	}

	return errors.Join(l.backup(ctx, w), l.Close(ctx))
}

func (l *Local) backup(ctx context.Context, w io.Writer) error {
	if here := l.here(); here != nil {
		return here.admin.Backup(ctx, serverconfig.Requester{}, w)
	}
	resp, err := l.ask(ctx, http.MethodGet, backupPath, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return l.refusal(resp)
	case resp.Header.Get("Content-Type") != backupType:
		return fmt.Errorf("the process that hosts the server in %q has an earlier version, which cannot write a backup: "+
			"restart it", l.dir.path)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("copy the backup from the host in %q: %w", l.dir.path, err)
	}

	return nil
}

// serveBackup answers a request for a backup. If it fails in the middle, the connection is cut, and the backup has no
// end. A client that does not read loses the backup after a while, and does not keep the server from stopping, which
// closes its connection.
func (h *host) serveBackup(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", backupType)
	if err := h.admin.Backup(r.Context(), serverconfig.Requester{}, paced.New(w, clock.Go())); err != nil {
		panic(http.ErrAbortHandler)
	}
}
