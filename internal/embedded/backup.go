package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// backupPath is the path of requests for a backup. A host of an earlier version answers them with its report.
const (
	backupPath = "/backup"
	backupType = "application/octet-stream"
)

// Backup writes a backup of the embedded server of the state directory c.Dir to w. The caller must check that it is
// complete. If no process hosts the server, this one does meanwhile.
func Backup(ctx context.Context, c Config, w io.Writer) error {
	l, err := Open(ctx, c)
	if err != nil {
		return err
	}

	return errors.Join(l.backup(ctx, w), l.Close(ctx))
}

func (l *Local) backup(ctx context.Context, w io.Writer) error {
	if here := l.here(); here != nil {
		return here.admin.Backup(ctx, w)
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
// end. A client that does not read does not keep the server from stopping, which closes its connection.
func (h *host) serveBackup(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", backupType)
	if err := h.admin.Backup(r.Context(), w); err != nil {
		panic(http.ErrAbortHandler)
	}
}
