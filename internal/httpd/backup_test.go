package httpd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/backup"
	"tenure/server"
)

// A backup has the protection keys of all sessions, so it needs the right full.
func TestBackup(t *testing.T) {
	t.Parallel()
	lister, listing := access.NewToken()
	root, all := access.NewToken()
	tokens := fmt.Sprintf("user l token=%s\nuser r token=%s\ngrant l /local list\ngrant r /local full\n", listing, all)
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte(tokens), 0o600))
	_, url := serve(t, true, server.WithTokensFile(file))
	status, _ := call(t, "GET", url+"/api/v1/backup", "")
	require.Equal(t, 401, status)
	status, _ = call(t, "GET", url+"/api/v1/backup", "", "Authorization", "Bearer "+lister)
	require.Equal(t, 403, status)
	status, body := call(t, "GET", url+"/api/v1/backup", "", "Authorization", "Bearer "+root)
	require.Equal(t, 200, status)
	summary, err := backup.Check(strings.NewReader(body))
	require.NoError(t, err)
	require.Zero(t, summary.Nodes)
}

// Every local user has all rights on a server without users, but must not get the keys of the sessions of others.
func TestBackup_NoUsers(t *testing.T) {
	t.Parallel()
	_, url := serve(t, true)
	status, body := call(t, "GET", url+"/api/v1/backup", "")
	require.Equal(t, 403, status)
	require.Contains(t, body, "start it with --tokens")
}
